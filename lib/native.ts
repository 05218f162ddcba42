import type { Device } from './device/gpu.js';
import type { ErrorCode } from './errors.js';
import type { NativeInspection, NativeListing } from './native-file.js';

/** How a picture becomes tiles: see {@link ImageMode}. */
export type NativeImageMode = 'anyres' | 'squash' | 'pad';

/** One stretch of a prompt before tokenisation. Neighbouring `text` segments are joined before BPE. */
export type NativeSegment =
  | { kind: 'text'; text: string }
  /** Exactly one added token, by its text. */
  | { kind: 'special'; text: string }
  /** A picture; acts as the added token `<image>`. */
  | { kind: 'image' };

/** Token ids where `-1-k` stands for all rows of `images[k]` (each `[tokenCount, width]`, row-major). */
export interface NativePrompt {
  tokens: Int32Array;
  images: Float32Array[];
}

export interface NativeLoadOptions {
  /** GGUF with the language model (and, unless `visionPath` is given, the vision part). */
  textPath: string;
  visionPath?: string;
  /** Where the language model's layers are computed; auto: on GPUs as far as they fit, if there are any. */
  device: Device;
  /** Of the language model's last layers, how many are computed on GPUs; -1: as many as fit. */
  gpuLayers: number;
  /** Where pictures are encoded; auto: where the language model is, if it fits. */
  visionDevice: Device;
  /** 0: the engine's choice. */
  threads: number;
  /** Positions; 0: the model's own context length, at most 4096. */
  contextSize: number;
  maxSequences: number;
  kvType: 'auto' | 'f32' | 'f16' | 'q8_0';
  /** '': what the file says. */
  tokenizerStyle: '' | 'slow' | 'fast';
  /** Keys a query sees, itself included; -1: what the file says; 0: no window. */
  slidingWindow: number;
  /** Sum up what meets each weight: see {@link NativeEngine.importance}. */
  importance: boolean;
}

export interface NativeGenerateOptions {
  maxTokens: number;
  /** No stop token before that many. */
  minTokens: number;
  /** 0: greedy. */
  temperature: number;
  /** 0: off. */
  topK: number;
  /** 1: off. */
  topP: number;
  /** 0: off. */
  minP: number;
  /** 1: off. */
  repetitionPenalty: number;
  /** 0: off. */
  presencePenalty: number;
  /** 0: off. */
  frequencyPenalty: number;
  /** 0: off. */
  noRepeatNgramSize: number;
  /** Added to the logits of `tokens`, which are all different; -Infinity bans. */
  logitBias: { tokens: Int32Array; values: Float32Array };
  /** 64 bits. */
  seed: bigint;
  /** Stop strings: held back, never part of the text. */
  stop: string[];
  /** The likeliest tokens to list for each token of the answer; -1: no logprobs at all. */
  logprobs: number;
}

export interface NativeModelInfo {
  /** '' for a plain phi3 file. */
  variant: string;
  name: string;
  /** '' for a text-only model. */
  imageMode: '' | NativeImageMode;
  imageSeparator: string;
  tokenizerStyle: 'slow' | 'fast';
  contextSize: number;
  vocabSize: number;
  /** Width of a picture's embeddings. */
  width: number;
  /** ggml's names of the devices that compute the language model's layers: 'CPU', or the GPUs, 'CUDA0, CUDA1'. */
  device: string;
  /** Layers of the language model that are computed there, where these are GPUs; the CPU computes the others. */
  gpuLayers: number;
  /** ggml's name of the device that encodes pictures; '' for a text-only model. */
  visionDevice: string;
  kvType: 'f32' | 'f16' | 'q8_0';
  threads: number;
}

export type NativeFinishReason = 'stop' | 'stop-string' | 'length' | 'context' | 'cancelled';

/** What the engine thread tells JavaScript. `request` is the number given with the request; 0 is the load itself. */
export type NativeEvent =
  /** How much of the load, of a picture's encoding or of a prompt (`generate`, `computeLogits`) is done: 0 to 1. */
  | { request: number; type: 'progress'; fraction: number }
  | { request: number; type: 'loaded'; info: NativeModelInfo }
  | {
      request: number;
      type: 'encoded';
      embeddings: Float32Array;
      tokenCount: number;
      width: number;
      /** Columns and rows of crops; 0 in the single-tile modes. */
      columns: number;
      rows: number;
      preprocessMs: number;
      visionMs: number;
      resampleMs: number;
    }
  /** A piece of the answer: complete UTF-8, stop strings held back. */
  | { request: number; type: 'text'; text: string }
  | {
      request: number;
      type: 'generated';
      text: string;
      /** Without the stop token. */
      tokens: Int32Array;
      finishReason: NativeFinishReason;
      promptTokens: number;
      cachedTokens: number;
      prefillMs: number;
      generateMs: number;
      /** One per token; empty unless asked for, as the next two. */
      logprobs: Float32Array;
      /** Row-major `[tokens, n]`, the likeliest first. */
      topTokens: Int32Array;
      topLogprobs: Float32Array;
    }
  | {
      request: number;
      type: 'logits';
      tokens: Int32Array;
      logits: Float32Array;
      vocabSize: number;
      /** Row-major `[layers + 1, rows, width]`: what enters the first layer, then what each layer gives; empty unless asked for. */
      hidden: Float32Array;
    }
  /** A load, encode or logits request was cancelled (a generate request ends with `generated`). */
  | { request: number; type: 'cancelled' }
  | { request: number; type: 'error'; code: ErrorCode; message: string };

/** The inputs of a weight's matrix products, summed up. */
export interface NativeImportance {
  /** Of the weight's tensor. */
  name: string;
  /** For each column of the weight the sum of the squares of what it was multiplied with. */
  sums: Float32Array;
  /** Input rows that were summed up. */
  count: number;
}

/**
 * One loaded model: an engine thread of its own. Every method throws an `Error` with a `code` on wrong arguments, and a request beyond
 * 1,024 open ones fails with ERR_XGENMM_BUSY.
 */
export interface NativeEngine {
  /**
   * Valid after `loaded`. Thread-safe and synchronous. Image k becomes `-1-k`.
   * `continuation`: the segments follow tokens that exist already, so neither BOS nor the leading piece of style `slow` is put in front.
   */
  tokenize(segments: NativeSegment[], parseSpecial: boolean, continuation: boolean): Int32Array;
  /** Rows that a picture of this size becomes in a prompt. Valid after `loaded`; throws for a text-only model. */
  countImageTokens(width: number, height: number, mode: NativeImageMode): number;
  /** Added tokens are left out; ill-formed bytes become U+FFFD. */
  detokenize(tokens: Int32Array): string;
  /** `pixels`: RGB, row-major, `width * height * 3` bytes; read in place and kept from collection: neither changed nor transferred until the request has ended. */
  encodeImage(
    request: number,
    pixels: Uint8Array,
    width: number,
    height: number,
    mode: NativeImageMode,
  ): void;
  generate(request: number, prompt: NativePrompt, options: NativeGenerateOptions): void;
  /**
   * Logits after each of the last `last` positions of the prompt (0: all), and with `hidden` the residual stream at these positions,
   * which fails with ERR_XGENMM_INVALID_ARGUMENT when it would take more than 1 GiB.
   */
  computeLogits(request: number, prompt: NativePrompt, last: number, hidden: boolean): void;
  /**
   * What has met each weight so far, by name; throws unless loaded with `importance`. Valid after `loaded`. Thread-safe and synchronous.
   */
  importance(): NativeImportance[];
  /** Asks; the request's last event says what came of it. Unknown numbers are ignored. */
  cancel(request: number): void;
  /** Ends every open request (`cancelled` or `error` with ERR_XGENMM_DISPOSED), joins the thread, frees the memory, then resolves. */
  dispose(): Promise<void>;
}

export interface NativeAddon {
  /** Returns at once; loading runs on the engine's thread and ends with `loaded`, `cancelled` or `error` for request 0. */
  createEngine(options: NativeLoadOptions, onEvent: (event: NativeEvent) => void): NativeEngine;
}

/** What this process may compute on. */
export interface NativeCores {
  /** That the system may run its threads on; hyperthreads each count. */
  processors: number;
  /** Cores that these belong to. */
  physical: number;
  /** Performance cores among them; all where there is one kind. */
  fast: number;
  /** Processors whose time a container grants, rounded down; 0: no limit. */
  quota: number;
}

/** What there is to compute with. */
export interface NativeSystemInfo {
  ggmlVersion: string;
  cores: NativeCores;
  /** Of a model that is loaded with `threads: 0`. */
  defaultThreads: number;
  /** Sets of instructions that this package's own kernels use, as XGENMM_WITHOUT names them. */
  instructions: string[];
  /** `features`: what a backend was built with or found, for example `AVX2: '1'`. */
  backends: { name: string; features: Record<string, string> }[];
  devices: NativeDevice[];
}

/** What a backend computes on. */
export interface NativeDevice {
  name: string;
  description: string;
  /** ggml's name of the backend. */
  backend: string;
  kind: 'cpu' | 'gpu' | 'integrated gpu' | 'accelerator';
  freeBytes: number;
  totalBytes: number;
}

/** ggml's names of what tensors can be stored in here. */
export type NativeTensorType = 'f32' | 'f16' | 'bf16' | 'q8_0' | 'q6_K' | 'q5_K' | 'q4_K' | 'q4_0' | 'iq4_nl';

/** Threads of their own that turn weights into another type, with the bytes that ggml's reference gives. */
export interface NativeQuantizer {
  /**
   * Rows of `sourceLength` values -> rows of `rowLength` (filled up with zeros) in `type`, into `target`. Calls may overlap; they are
   * worked on in their order.
   *
   * `source` and `target` are read and written in place and kept from collection: neither is touched, resized or transferred until the
   * promise settles. `target` begins at an even byte, for `f32` at a multiple of four. `importance`: `rowLength` values (mean squares of
   * what meets each column), copied; ignored by the types that do not search.
   *
   * Resolves with -1, or with the index (in `source`, in values) of the first value that is not finite or too large for `type`; `target`
   * is then worthless. The bound is 65520, f16's, for all types but f32 and bf16: their blocks have f16 scales. Throws an `Error` with a
   * `code` on wrong arguments.
   */
  quantize(
    source: Uint8Array,
    dtype: 'f32' | 'f16' | 'bf16',
    sourceLength: number,
    rowLength: number,
    type: NativeTensorType,
    target: Uint8Array,
    importance: Float32Array | undefined,
  ): Promise<number>;
  /** Resolves when open calls have settled and the threads have ended. */
  dispose(): Promise<void>;
}

/** What the addon exports. */
export interface NativeModule extends NativeAddon {
  /** What it was built as, `xgen-mm <version> <cpu, cuda, metal or vulkan>`; the file holds this text. */
  readonly identity: string;
  /**
   * Reads and checks a file as loading would, without loading it. `contextSize`: what the keys and values are estimated for; 0 for
   * 1024, 2048 and 4096, up to the model's own. Throws an `Error` with a `code`.
   */
  inspectFile(path: string, contextSize: number): NativeInspection;
  /** Reads and checks the structure of any GGUF file. Throws an `Error` with a `code`, as `inspectFile` does. */
  listFile(path: string): NativeListing;
  /** `threads`: 0 for one for each processor that this process may use. Throws an `Error` with a `code`. */
  createQuantizer(threads: number): NativeQuantizer;
  systemInfo(): NativeSystemInfo;
  /** Stops and joins the threads of all engines and quantizers of this environment, which say nothing more. For the end of the process. */
  stopAll(): void;
}
