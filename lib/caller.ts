import { XgenmmError } from './errors.js';

/** Where a public function was called, for errors that arise later or on the engine's thread. */
export class Caller {
  readonly #site: { stack?: string } = {};

  /** `entry`: the public function; it and everything below it is left out of the stack. */
  constructor(entry: (...args: never[]) => unknown) {
    Error.captureStackTrace(this.#site, entry);
  }

  /** Runs `work`; an {@link XgenmmError} that it ends with shows this call. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof XgenmmError) {
        const frames = this.#site.stack?.split('\n').slice(1).join('\n');
        // A signal's reason may be frozen.
        Reflect.set(error, 'stack', `${error.name}: ${error.message}\n${frames}`);
      }
      throw error;
    }
  }
}
