import { onAbort } from './abort.js';
import { type ErrorCode, XgenmmError } from './errors.js';
import type {
  NativeAddon,
  NativeEngine,
  NativeEvent,
  NativeGenerateOptions,
  NativeImageMode,
  NativeImportance,
  NativeLoadOptions,
  NativeModelInfo,
  NativePrompt,
  NativeSegment,
} from './native.js';

type EventOf<T extends NativeEvent['type']> = Extract<NativeEvent, { type: T }>;

/** A request that the engine thread has not ended yet. */
interface OpenRequest {
  receive(event: NativeEvent): void;
  reject(error: unknown): void;
}

/**
 * Promises over the native engine's numbered requests. Every promise settles: with the request's last event, or with
 * ERR_XGENMM_DISPOSED. A cancelled request rejects with `signal.reason`, except {@link generate}, which resolves with what there is.
 */
export class Engine {
  readonly #open = new Map<number, OpenRequest>();
  #native: NativeEngine | undefined;
  #info: NativeModelInfo | undefined;
  #nextRequest = 0;
  #disposal: Promise<void> | undefined;

  private constructor() {}

  static async load(
    addon: NativeAddon,
    options: NativeLoadOptions,
    onProgress?: (fraction: number) => void,
    signal?: AbortSignal,
  ): Promise<Engine> {
    const engine = new Engine();
    // An exception in the caller's onProgress cancels the load, which then rejects with it.
    const fault = new AbortController();
    const stop = signal === undefined ? fault.signal : AbortSignal.any([signal, fault.signal]);
    const report = (event: NativeEvent) => {
      try {
        if (event.type === 'progress') onProgress?.(event.fraction);
      } catch (error) {
        fault.abort(error);
      }
    };
    const create = () => {
      engine.#native = addon.createEngine(options, (event) => engine.#receive(event));
    };
    try {
      engine.#info = (await engine.#request('loaded', create, stop, report)).info;
      stop.throwIfAborted();
      return engine;
    } catch (error) {
      await engine.dispose();
      throw error;
    }
  }

  get info(): NativeModelInfo {
    return this.#info as NativeModelInfo;
  }

  /** The native engine; throws ERR_XGENMM_DISPOSED once it is gone. */
  get #live(): NativeEngine {
    if (this.#disposal !== undefined || this.#native === undefined) throw disposed();
    return this.#native;
  }

  /** Throws ERR_XGENMM_DISPOSED after {@link dispose}. */
  assertLive(): void {
    void this.#live;
  }

  tokenize(segments: NativeSegment[], parseSpecial: boolean, continuation = false): Int32Array {
    const native = this.#live;
    return translated(() => native.tokenize(segments, parseSpecial, continuation));
  }

  detokenize(tokens: Int32Array): string {
    const native = this.#live;
    return translated(() => native.detokenize(tokens));
  }

  /** Rows that a picture of this size becomes in a prompt. */
  countImageTokens(width: number, height: number, mode: NativeImageMode): number {
    const native = this.#live;
    return translated(() => native.countImageTokens(width, height, mode));
  }

  /** `pixels`: RGB, row-major, `[height, width, 3]`; they are read in place and must stay as they are until the promise settles. */
  encodeImage(
    pixels: Uint8Array,
    width: number,
    height: number,
    mode: NativeImageMode,
    signal?: AbortSignal,
    onProgress?: (fraction: number) => void,
  ): Promise<EventOf<'encoded'>> {
    const post = (request: number) => this.#live.encodeImage(request, pixels, width, height, mode);
    const receive = (event: NativeEvent) => event.type === 'progress' && onProgress?.(event.fraction);
    return this.#request('encoded', post, signal, receive);
  }

  /** `onProgress`: the fraction of the prompt that is read; neither it nor `onText` may throw. */
  async generate(
    prompt: NativePrompt,
    options: NativeGenerateOptions,
    onText: (text: string) => void,
    signal?: AbortSignal,
    onProgress?: (fraction: number) => void,
  ): Promise<EventOf<'generated'>> {
    const post = (request: number) => this.#live.generate(request, prompt, options);
    const receive = (event: NativeEvent) => {
      if (event.type === 'text') onText(event.text);
      else if (event.type === 'progress') onProgress?.(event.fraction);
    };
    const generated = await this.#request('generated', post, signal, receive);
    if (generated.finishReason === 'cancelled' && !signal?.aborted) throw disposed();
    return generated;
  }

  /** `last`: of how many of the last positions, 0 for all; `hidden`: whether what each layer gives there is wanted too, up to 1 GiB. */
  computeLogits(
    prompt: NativePrompt,
    last: number,
    hidden: boolean,
    signal?: AbortSignal,
  ): Promise<EventOf<'logits'>> {
    const post = (request: number) => this.#live.computeLogits(request, prompt, last, hidden);
    return this.#request('logits', post, signal);
  }

  /** What has met each weight so far; throws ERR_XGENMM_INVALID_ARGUMENT unless loaded with `importance`. */
  importance(): NativeImportance[] {
    const native = this.#live;
    return translated(() => native.importance());
  }

  dispose(): Promise<void> {
    this.#disposal ??= this.#close();
    return this.#disposal;
  }

  async #close(): Promise<void> {
    try {
      await this.#native?.dispose();
    } finally {
      // The engine ends its requests itself; this is for those whose last event was lost with the thread.
      for (const open of [...this.#open.values()]) open.reject(disposed());
    }
  }

  /** Posts a request and waits for its `last` event; the ones before go to `onEvent`. */
  async #request<T extends NativeEvent['type']>(
    last: T,
    post: (request: number) => void,
    signal?: AbortSignal,
    onEvent?: (event: NativeEvent) => void,
  ): Promise<EventOf<T>> {
    signal?.throwIfAborted();
    const request = this.#nextRequest++;
    // Disposal cancels by itself, and an exception in an abort listener would have no one to catch it.
    const cancel = () => this.#disposal === undefined && this.#native?.cancel(request);
    let release = () => {};
    try {
      return await new Promise((resolve, reject) => {
        const receive = (event: NativeEvent) => {
          if (event.type === last) resolve(event as EventOf<T>);
          else if (event.type === 'error') reject(new XgenmmError(event.code, event.message));
          else if (event.type === 'cancelled') reject(signal?.aborted ? signal.reason : disposed());
          else onEvent?.(event);
        };
        this.#open.set(request, { receive, reject });
        release = onAbort(signal, cancel);
        translated(() => post(request));
      });
    } finally {
      this.#open.delete(request);
      release();
    }
  }

  #receive(event: NativeEvent): void {
    this.#open.get(event.request)?.receive(event);
  }
}

function disposed(): XgenmmError {
  return new XgenmmError('ERR_XGENMM_DISPOSED', 'Expected a model in use, received one that was disposed');
}

/** Runs a call into the addon, whose errors are plain `Error`s with a `code`. */
export function translated<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    if (error instanceof XgenmmError) throw error;
    const { code, message } = error as { code?: unknown; message: string };
    const known = typeof code === 'string' && code.startsWith('ERR_XGENMM_');
    throw new XgenmmError(known ? (code as ErrorCode) : 'ERR_XGENMM_INTERNAL', message, { cause: error });
  }
}
