import { setTimeout } from 'node:timers/promises';
import { XgenmmError } from '../errors.js';

/** How often, and how patiently, a failed exchange is tried again. */
export interface RetryPolicy {
  /** Failures in a row after which no more is tried. */
  attempts: number;
  /** The first pause, in ms; each further one is twice as long. */
  pauseMs: number;
  /** The longest pause, in ms, also of those that a server asks for. */
  longestPauseMs: number;
}

interface FailureOptions extends ErrorOptions {
  /** What the server asks to wait, in ms. */
  pauseMs?: number | undefined;
  /** No server was reached at all. */
  unreachable?: boolean;
}

/** Why one try failed, if another may succeed. */
export class PassingFailure extends Error {
  readonly pauseMs: number;
  readonly unreachable: boolean;

  /** `message`: a sentence without a full stop. */
  constructor(message: string, { pauseMs = 0, unreachable = false, ...options }: FailureOptions = {}) {
    super(message, options);
    this.pauseMs = pauseMs;
    this.unreachable = unreachable;
  }
}

/** No server could be reached. */
export class Unreachable extends XgenmmError {}

/** Counts failures and waits between tries. */
export class Retry {
  #failures = 0;

  constructor(
    private readonly policy: RetryPolicy,
    private readonly onNote: (note: string) => void,
    private readonly signal: AbortSignal | undefined,
  ) {}

  /** Something came of the last try. */
  reset(): void {
    this.#failures = 0;
  }

  /** Waits before another try, or throws: `error` itself unless it is passing, ERR_XGENMM_DOWNLOAD after too many. */
  async wait(error: unknown): Promise<void> {
    this.signal?.throwIfAborted();
    if (!(error instanceof PassingFailure)) throw error;
    const { attempts, pauseMs, longestPauseMs } = this.policy;
    this.#failures++;
    if (this.#failures >= attempts || error.pauseMs > longestPauseMs) {
      const ErrorClass = error.unreachable ? Unreachable : XgenmmError;
      throw new ErrorClass('ERR_XGENMM_DOWNLOAD', `${error.message}; run the same command again later`, {
        cause: error,
      });
    }
    // Jitter keeps those that failed together from coming back together.
    const own = Math.min(longestPauseMs, pauseMs * 2 ** (this.#failures - 1) * (0.5 + Math.random()));
    const pause = Math.max(own, error.pauseMs);
    this.onNote(`${error.message}; trying again in ${(pause / 1000).toFixed(1)} s.`);
    await setTimeout(pause, undefined, this.signal && { signal: this.signal }).catch((cause) => {
      this.signal?.throwIfAborted();
      throw cause;
    });
  }
}
