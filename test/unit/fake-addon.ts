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
} from '../../lib/native.js';

/** Requests that may be open at the same time. */
const MAX_OPEN = 1024;

/** Added tokens and their ids; the chat tokens swallow the whitespace after them, as in the real vocabulary. */
export const ADDED: Record<string, number> = {
  '<|assistant|>': 32001,
  '<|system|>': 32006,
  '<|end|>': 32007,
  '<|user|>': 32010,
  '<image>': 32012,
  '<|endofchunk|>': 32014,
};
/** The lone piece that style `slow` puts at the very start. */
export const SLOW_PREFIX = 29871;

/** Rows that a tile becomes. */
const TILE_TOKENS = 2;
/** Of the language model. */
const LAYERS = 2;

export const INFO: NativeModelInfo = {
  variant: 'instruct-interleave',
  name: 'fake',
  imageMode: 'anyres',
  imageSeparator: '\n',
  tokenizerStyle: 'slow',
  contextSize: 2000,
  vocabSize: 32015,
  width: 4,
  device: 'CPU',
  gpuLayers: 0,
  visionDevice: 'CPU',
  kvType: 'f16',
  threads: 1,
};

interface Encode {
  pixels: Uint8Array;
  width: number;
  height: number;
  mode: NativeImageMode;
}

/**
 * An addon without a model: a token per character, and answers that the test dictates, one character per turn of the event loop.
 * It keeps the seam's promises (events come later, every request ends, cancelled ones soon; progress rises to 1; pixels are read in
 * place; so many requests and no more) and records what it was asked.
 */
export class FakeAddon implements NativeAddon {
  /** Answers to come, in order; when they run out, an endless one. */
  answers: string[] = [];
  /** What the next request of its kind ends with. */
  failure: { load?: Error; generate?: Error } = {};
  /** Keeps every generation from its first token until it is cancelled. */
  stalled = false;
  /** What the progress events of a picture or a prompt say. */
  fractions = [0.5, 1];
  /** Events are lost from now on. */
  mute = false;
  loads: NativeLoadOptions[] = [];
  encodes: Encode[] = [];
  prompts: NativePrompt[] = [];
  generations: NativeGenerateOptions[] = [];
  disposals = 0;
  /** What has met the weights of engines that were loaded with `importance`. */
  importance: NativeImportance[] = [];

  constructor(readonly info: Partial<NativeModelInfo> = {}) {}

  createEngine(options: NativeLoadOptions, onEvent: (event: NativeEvent) => void): NativeEngine {
    this.loads.push(options);
    const info = { ...INFO, ...this.info };
    return new FakeEngine(this, info, options.importance, (event) => this.mute || onEvent(event));
  }
}

/** An error as C++ throws it. */
export function nativeError(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}

class FakeEngine implements NativeEngine {
  readonly #cancelled = new Set<number>();
  readonly #running = new Set<Promise<void>>();

  constructor(
    readonly addon: FakeAddon,
    readonly info: NativeModelInfo,
    readonly observed: boolean,
    readonly onEvent: (event: NativeEvent) => void,
  ) {
    this.#run(0, async () => {
      for (const fraction of [0.5, 1]) {
        await tick();
        if (this.#cancelled.has(0)) return this.onEvent({ request: 0, type: 'cancelled' });
        this.onEvent({ request: 0, type: 'progress', fraction });
      }
      if (this.addon.failure.load) throw this.addon.failure.load;
      this.onEvent({ request: 0, type: 'loaded', info });
    });
  }

  tokenize(segments: NativeSegment[], parseSpecial: boolean, continuation: boolean): Int32Array {
    const tokens: number[] = this.info.tokenizerStyle === 'slow' && !continuation ? [SLOW_PREFIX] : [];
    let images = 0;
    const special = (text: string) => {
      const id = ADDED[text];
      if (id === undefined) throw nativeError('ERR_XGENMM_INVALID_ARGUMENT', `no added token ${text}`);
      tokens.push(id);
    };
    const plain = (text: string) => {
      const last = tokens.at(-1) ?? 0;
      const swallowed = last >= 32001 && last < 32012 ? text.trimStart() : text;
      tokens.push(...Array.from(swallowed, (char) => char.codePointAt(0) as number));
    };
    for (const segment of segments) {
      if (segment.kind === 'image') tokens.push(-1 - images++);
      else if (segment.kind === 'special') special(segment.text);
      else if (!parseSpecial) plain(segment.text);
      else {
        for (const run of segment.text.split(/(<[^<>]+>)/)) {
          if (Object.hasOwn(ADDED, run)) special(run);
          else plain(run);
        }
      }
    }
    return Int32Array.from(tokens);
  }

  countImageTokens(width: number, height: number, mode: NativeImageMode): number {
    return TILE_TOKENS * countTiles(width, height, mode);
  }

  detokenize(tokens: Int32Array): string {
    return String.fromCodePoint(...[...tokens].filter((token) => token < SLOW_PREFIX));
  }

  encodeImage(
    request: number,
    pixels: Uint8Array,
    width: number,
    height: number,
    mode: NativeImageMode,
  ): void {
    const encode = { pixels, width, height, mode };
    const ordinal = this.addon.encodes.push(encode);
    this.#run(request, async () => {
      for (const fraction of this.addon.fractions) {
        await tick();
        if (this.#cancelled.has(request)) return this.onEvent({ request, type: 'cancelled' });
        this.onEvent({ request, type: 'progress', fraction });
      }
      encode.pixels = pixels.slice();
      const tiles = countTiles(width, height, mode);
      const tokenCount = TILE_TOKENS * tiles;
      this.onEvent({
        request,
        type: 'encoded',
        embeddings: new Float32Array(tokenCount * this.info.width).fill(ordinal),
        tokenCount,
        width: this.info.width,
        columns: tiles - 1,
        rows: tiles === 1 ? 0 : 1,
        preprocessMs: 1,
        visionMs: 20,
        resampleMs: 300,
      });
    });
  }

  generate(request: number, prompt: NativePrompt, options: NativeGenerateOptions): void {
    this.addon.prompts.push(prompt);
    this.addon.generations.push(options);
    const script = this.addon.answers.shift();
    this.#run(request, async () => {
      const promptTokens = this.#positions(prompt);
      const tokens: number[] = [];
      const listed = Math.max(options.logprobs, 0);
      const finish = (finishReason: 'stop' | 'stop-string' | 'length' | 'cancelled') =>
        this.onEvent({
          request,
          type: 'generated',
          text: String.fromCodePoint(...tokens),
          tokens: Int32Array.from(tokens),
          finishReason,
          promptTokens,
          cachedTokens: 5,
          prefillMs: 7,
          generateMs: 9,
          logprobs: Float32Array.from(options.logprobs < 0 ? [] : tokens, (_, i) => -1 - i),
          topTokens: Int32Array.from({ length: listed * tokens.length }, (_, i) => i),
          topLogprobs: Float32Array.from({ length: listed * tokens.length }, (_, i) => -i / 2),
        });
      for (const fraction of this.addon.fractions) {
        await tick();
        if (this.#cancelled.has(request)) return finish('cancelled');
        if (this.addon.failure.generate) throw this.addon.failure.generate;
        this.onEvent({ request, type: 'progress', fraction });
      }
      for (;;) {
        await tick();
        if (this.#cancelled.has(request)) return finish('cancelled');
        if (this.addon.stalled) continue;
        const char = script === undefined ? 'z' : script[tokens.length];
        if (char === undefined) return finish('stop');
        if (options.stop.includes(char)) return finish('stop-string');
        tokens.push(char.codePointAt(0) as number);
        this.onEvent({ request, type: 'text', text: char });
        if (tokens.length === options.maxTokens) return finish('length');
      }
    });
  }

  computeLogits(request: number, prompt: NativePrompt, last: number, hidden: boolean): void {
    this.addon.prompts.push(prompt);
    this.#run(request, async () => {
      await tick();
      if (this.#cancelled.has(request)) return this.onEvent({ request, type: 'cancelled' });
      this.onEvent({ request, type: 'progress', fraction: 1 });
      const positions = this.#positions(prompt);
      const rows = last === 0 ? positions : Math.min(last, positions);
      const tokens = new Int32Array(positions);
      const { vocabSize } = this.info;
      this.onEvent({
        request,
        type: 'logits',
        tokens,
        logits: new Float32Array(rows * vocabSize),
        vocabSize,
        hidden: new Float32Array(hidden ? (LAYERS + 1) * rows * this.info.width : 0),
      });
    });
  }

  importance(): NativeImportance[] {
    if (!this.observed) throw nativeError('ERR_XGENMM_INVALID_ARGUMENT', 'loaded without importance');
    return this.addon.importance;
  }

  cancel(request: number): void {
    this.#cancelled.add(request);
  }

  async dispose(): Promise<void> {
    this.addon.disposals++;
    for (let request = 0; request < 10_000; request++) this.#cancelled.add(request);
    await Promise.all(this.#running);
  }

  #positions({ tokens, images }: NativePrompt): number {
    const positions = tokens.reduce(
      (sum, token) => sum + (token < 0 ? (images[-1 - token] as Float32Array).length / this.info.width : 1),
      0,
    );
    if (positions > this.info.contextSize) {
      throw nativeError('ERR_XGENMM_CONTEXT_OVERFLOW', `prompt of ${positions} positions`);
    }
    return positions;
  }

  #run(request: number, work: () => Promise<void>): void {
    if (this.#running.size >= MAX_OPEN) throw nativeError('ERR_XGENMM_BUSY', 'too many open requests');
    const run = work().catch((error) =>
      this.onEvent({ request, type: 'error', code: error.code, message: error.message }),
    );
    this.#running.add(run);
    run.finally(() => this.#running.delete(run));
  }
}

/** Tiles of a picture: what the real rule gives for a square and for a strip. */
function countTiles(width: number, height: number, mode: NativeImageMode): number {
  if (mode !== 'anyres') return 1;
  return width === height ? 5 : 4;
}

export function tick(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
