import { Random } from '../random.js';
import { type Mutation, overwritten, smallModel } from './mutation.js';

const { bytes: SOUND, fields: FIELDS } = smallModel().serialise();
const DATA_START = FIELDS.find(({ kind }) => kind === 'data')?.offset ?? 0;

/** The file cut off in front of and inside everything that it holds. */
export function* truncations(): Generator<Mutation> {
  for (const { name, offset, size } of FIELDS) {
    const bytes = Buffer.from(SOUND.subarray(0, offset));
    yield { name: `cut off before ${name}`, fatal: true, bytes };
    if (size > 64)
      yield { name: `cut off within ${name}`, fatal: true, bytes: SOUND.subarray(0, offset + size / 2) };
  }
}

export function* flippedBytes(): Generator<Mutation> {
  const random = new Random(1);
  for (let i = 0; i < 240; i++) {
    const end = i < 200 ? DATA_START : SOUND.length;
    const offset = random.below(end);
    const value = random.below(256);
    yield overwritten(`byte ${offset} is ${value}`, false, offset, Uint8Array.of(value));
  }
}

/** Counts, lengths, dimensions and offsets that are not true. */
export function* lies(): Generator<Mutation> {
  const random = new Random(2);
  for (const { name, kind, offset, size } of FIELDS) {
    if (!['version', 'count', 'length', 'dimension', 'offset'].includes(kind)) continue;
    const truth = size === 8 ? SOUND.readBigUInt64LE(offset) : BigInt(SOUND.readUInt32LE(offset));
    const limit = 1n << BigInt(8 * size);
    const claims = [
      0n,
      1n,
      truth - 1n,
      truth + 1n,
      truth + 32n,
      truth * 2n,
      limit / 2n - 1n,
      limit / 2n,
      limit - 1n,
    ];
    const claim = random.pick(claims.filter((value) => value >= 0n && value < limit && value !== truth));
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(claim);
    yield overwritten(`${name} is ${claim} in place of ${truth}`, false, offset, bytes.subarray(0, size));
  }
}

/** Type numbers that do not exist, or that do not fit what follows. */
export function* typeNumbers(): Generator<Mutation> {
  const random = new Random(3);
  for (const { name, kind, offset } of FIELDS) {
    if (kind !== 'type') continue;
    yield overwritten(`${name} is 255`, true, offset, Uint8Array.of(255));
    const type = random.below(13);
    yield overwritten(`${name} is ${type}`, false, offset, Uint8Array.of(type));
  }
}
