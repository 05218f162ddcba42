import { orAborted } from '../abort.js';

/** Work that any number may wait for, and that is cancelled when the last of them has given up. */
export class SharedWork<T> {
  readonly #cancelling = new AbortController();
  readonly #result: Promise<T>;
  #waiting = 0;

  /** `start`: is given the signal that cancels it. */
  constructor(start: (signal: AbortSignal) => Promise<T>) {
    this.#result = start(this.#cancelling.signal);
  }

  /** Its result is of no use to anybody then. */
  get cancelled(): boolean {
    return this.#cancelling.signal.aborted;
  }

  /** Rejects as the work does, or with `signal.reason` once the signal aborts. */
  async wait(signal?: AbortSignal): Promise<T> {
    this.#waiting++;
    let gaveUp = true;
    try {
      const result = await orAborted(this.#result, signal);
      gaveUp = false;
      return result;
    } finally {
      this.#waiting--;
      if (gaveUp && this.#waiting === 0) this.#cancelling.abort();
    }
  }
}
