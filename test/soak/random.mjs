import { createHash } from 'node:crypto';

/** Choices that are the same in every run with the same seed. */
export class Random {
  #seed;
  #drawn = 0;

  constructor(seed) {
    this.#seed = seed;
  }

  /** From 0 to `limit - 1`. */
  below(limit) {
    const digest = createHash('sha256')
      .update(`${this.#seed} ${this.#drawn++}`)
      .digest();
    return digest.readUInt32LE() % limit;
  }

  pick(items) {
    return items[this.below(items.length)];
  }

  /** True once in `times`. */
  once(times) {
    return this.below(times) === 0;
  }

  /** Choices for something that goes on at the same time. */
  split() {
    return new Random(`${this.#seed} ${this.below(2 ** 32)}`);
  }
}
