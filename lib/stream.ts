import { onAbort } from './abort.js';
import type { Answer } from './answer.js';
import { Caller } from './caller.js';
import { XgenmmError } from './errors.js';

/** The abort reason when nobody wants the rest of an answer. */
const LEFT = Symbol('left');

/**
 * An answer in the making. Iterate it once for its pieces (complete characters; what arrives while the loop is busy comes as one
 * piece), or just ask for {@link answer}. Leaving the loop cancels the rest.
 */
export class AnswerStream implements AsyncIterable<string> {
  readonly #controller = new AbortController();
  readonly #answer: Promise<Answer>;
  #unread = '';
  #ended = false;
  #iterated = false;
  #waiting: (() => void)[] = [];

  /**
   * Starts the work at once. `run` gives its text to `emit` and ends soon after its signal aborts.
   * @internal
   */
  constructor(
    run: (emit: (text: string) => void, signal: AbortSignal) => Promise<Answer>,
    signal: AbortSignal | undefined,
    entry: (...args: never[]) => unknown,
  ) {
    this.#answer = new Caller(entry).run(() => this.#produce(run, signal));
    // Whoever listens to neither the pieces nor answer() asked for no error either.
    this.#answer.catch(() => {});
  }

  /** The whole answer: what there is of it, with `finishReason: 'cancelled'`, if the loop was left. Rejects with `signal.reason`, or an XgenmmError. */
  answer(): Promise<Answer> {
    return this.#answer;
  }

  /** The pieces, once: ERR_XGENMM_INVALID_ARGUMENT the second time. They fail as {@link answer} does. */
  [Symbol.asyncIterator](): AsyncIterator<string, void, undefined> {
    if (this.#iterated) {
      throw new XgenmmError(
        'ERR_XGENMM_INVALID_ARGUMENT',
        'Expected a fresh answer stream, received one that was iterated before; answer() has the whole text',
      );
    }
    this.#iterated = true;
    return {
      next: async () => {
        while (this.#unread === '' && !this.#ended) {
          await new Promise<void>((resolve) => this.#waiting.push(resolve));
        }
        const value = this.#unread;
        this.#unread = '';
        if (value !== '') return { value, done: false };
        await this.#answer;
        return { value: undefined, done: true };
      },
      return: async () => {
        this.#controller.abort(LEFT);
        // The engine has let go of the request before the loop's next statement runs.
        await this.#answer.catch(() => {});
        this.#unread = '';
        return { value: undefined, done: true };
      },
    };
  }

  async #produce(
    run: (emit: (text: string) => void, signal: AbortSignal) => Promise<Answer>,
    signal: AbortSignal | undefined,
  ): Promise<Answer> {
    const abort = () => this.#controller.abort(signal?.reason);
    const release = onAbort(signal, abort);
    try {
      signal?.throwIfAborted();
      const answer = await run((text) => this.#emit(text), this.#controller.signal);
      signal?.throwIfAborted();
      return answer;
    } catch (error) {
      if (error === LEFT) return nothing();
      throw error;
    } finally {
      release();
      this.#ended = true;
      this.#wake();
    }
  }

  #emit(text: string): void {
    this.#unread += text;
    this.#wake();
  }

  #wake(): void {
    for (const resume of this.#waiting.splice(0)) resume();
  }
}

/** The answer to a request that was left before the engine had begun to answer. */
function nothing(): Answer {
  return {
    text: '',
    tokens: new Int32Array(),
    finishReason: 'cancelled',
    usage: { promptTokens: 0, imageTokens: 0, cachedTokens: 0, completionTokens: 0 },
    timings: { decode: 0, preprocess: 0, vision: 0, resample: 0, prefill: 0, generate: 0 },
  };
}
