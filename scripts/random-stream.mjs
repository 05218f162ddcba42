import { createCipheriv } from 'node:crypto';

/**
 * Pseudo-random bytes: `update()` of zeros gives the next ones.
 * @param {number} seed Of up to 15 digits; the same one gives the same bytes.
 */
export function randomStream(seed) {
  return createCipheriv('aes-128-ctr', Buffer.from(`${seed}`.padStart(16, '0'), 'latin1'), Buffer.alloc(16));
}
