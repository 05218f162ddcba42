import { expect } from 'vitest';
import type { ErrorCode } from '../lib/index.js';

/** Equals an XgenmmError with that code and a message that the pattern fits. */
export function failure(code: ErrorCode, message = /./): unknown {
  return expect.objectContaining({ name: 'XgenmmError', code, message: expect.stringMatching(message) });
}
