import { type Answer, COMPLETE_RULES, type CompleteOptions, generateAnswer } from './answer.js';
import { Caller } from './caller.js';
import { Chat } from './chat.js';
import { ChatTemplate, DEFAULT_SYSTEM } from './chat-template.js';
import { type Content, parseContent, textPart, toSegment } from './content.js';
import {
  countImageTokens,
  type EncodedImage,
  encodeImage,
  isEncodedImage,
  localImage,
} from './encoded-image.js';
import type { Engine } from './engine.js';
import { XgenmmError } from './errors.js';
import { IMAGE_RULES, type ImageInput, type ImageMode, type ImageOptions, takeImage } from './image.js';
import {
  abortSignal,
  boolean,
  callback,
  check,
  checkOptions,
  invalid,
  oneOf,
  positiveInteger,
  type Rules,
  rule,
  text,
} from './options.js';
import { countText, joinPassages } from './passage.js';
import { type Progress, type Report, withProgress } from './progress.js';
import { buildPrompt } from './prompt.js';
import { toNativeOptions } from './sampling.js';
import { AnswerStream } from './stream.js';

/** What was loaded, and how. */
export interface ModelInfo {
  /** `base`, `instruct-singleimg`, `instruct-interleave`, `instruct-dpo`; empty for a plain phi3 file. */
  readonly variant: string;
  /** The file's own name for the model, for people. */
  readonly name: string;
  /** How pictures are tiled unless told otherwise; undefined for a text-only model. */
  readonly imageMode: ImageMode | undefined;
  /** How the tokenizer treats spaces around special tokens: as Hugging Face's `slow` or `fast` one. */
  readonly tokenizerStyle: 'slow' | 'fast';
  /** Positions of prompt and answer together. */
  readonly contextSize: number;
  /** Token ids go from 0 to `vocabSize - 1`. */
  readonly vocabSize: number;
  /** Width of a picture's embeddings. */
  readonly width: number;
  /** ggml's name of the device that computes, such as `CPU` or `CUDA0`. */
  readonly device: string;
  /** Layers of the language model that are on a GPU. */
  readonly gpuLayers: number;
  /** The device that encodes pictures; undefined for a text-only model. */
  readonly visionDevice: string | undefined;
  /** How keys and values are kept. */
  readonly kvType: 'f32' | 'f16' | 'q8_0';
  /** CPU threads that compute. */
  readonly threads: number;
}

/** How a conversation goes. */
export interface ChatOptions {
  /** The system sentence; default: the one the model was trained with. Empty or null: none. */
  system?: string | null | undefined;
  /**
   * What happens when a question leaves its answer too little room: fewer positions than `maxTokens` and than a quarter of the context.
   * `'error'`, the default: nothing, until the question itself does not fit, which is ERR_XGENMM_CONTEXT_OVERFLOW. `'drop-oldest'`: whole
   * turns are forgotten, the oldest first, until half of the context is free; the system sentence stays.
   */
  overflow?: 'error' | 'drop-oldest' | undefined;
}

/** How a text becomes tokens. */
export interface TokenizeOptions {
  /** Parse texts for special tokens; default false. */
  parseSpecial?: boolean | undefined;
}

/** How a prompt is counted. */
export interface CountOptions extends TokenizeOptions {
  /** Fetch pictures that are http(s) URLs; default false. The limits are those of {@link CompleteOptions}. */
  fetchImages?: boolean | undefined;
}

/** How a picture is encoded. */
export interface EncodeImageOptions extends ImageOptions {
  /** Fetch a picture that is an http(s) URL; default false. The limits are those of {@link CompleteOptions}. */
  fetchImages?: boolean | undefined;
  /** Told how much is encoded (stage `images`). If it throws, the request is cancelled and rejects with what was thrown. */
  onProgress?: ((progress: Progress) => void) | undefined;
  /** Rejects with `signal.reason`. */
  signal?: AbortSignal | undefined;
}

/** Which logits, of what. */
export interface LogitsOptions extends CountOptions {
  /** Only the rows of the last positions; default: all. */
  last?: number | undefined;
  /** Rejects with `signal.reason`. */
  signal?: AbortSignal | undefined;
}

/** Unnormalised logarithms of the probability of each token of the vocabulary. */
export interface Logits {
  /** One entry per position; -1-k where picture k stands. */
  tokens: Int32Array;
  /** Row-major `[min(last, positions), vocabSize]`: what follows each of the last positions. */
  logits: Float32Array;
  /** Length of a row of `logits`. */
  vocabSize: number;
}

const CHAT_RULES: Rules<ChatOptions> = {
  system: rule<string | null>('a string or null', (value) => value === null || typeof value === 'string'),
  overflow: oneOf('error', 'drop-oldest'),
};
const TOKENIZE_RULES: Rules<TokenizeOptions> = { parseSpecial: boolean };
const COUNT_RULES: Rules<CountOptions> = { ...TOKENIZE_RULES, fetchImages: boolean };
const ENCODE_RULES: Rules<EncodeImageOptions> = {
  ...IMAGE_RULES,
  fetchImages: boolean,
  onProgress: callback<(progress: Progress) => void>(),
  signal: abortSignal,
};
const LOGITS_RULES: Rules<LogitsOptions> = { ...COUNT_RULES, last: positiveInteger, signal: abortSignal };

/** A loaded model, made by `loadModel()`. After {@link dispose} everything else throws ERR_XGENMM_DISPOSED. */
export class Model implements AsyncDisposable {
  /** What was loaded; stays readable after {@link dispose}. */
  readonly info: ModelInfo;
  readonly #engine: Engine;

  /** @internal */
  constructor(engine: Engine, imageMode: ImageMode | undefined) {
    const { variant, name, tokenizerStyle, contextSize, vocabSize, width } = engine.info;
    const { device, gpuLayers, visionDevice, kvType, threads } = engine.info;
    this.#engine = engine;
    this.info = {
      variant,
      name,
      imageMode: engine.info.imageMode === '' ? undefined : (imageMode ?? engine.info.imageMode),
      tokenizerStyle,
      contextSize,
      vocabSize,
      width,
      device,
      gpuLayers,
      visionDevice: visionDevice === '' ? undefined : visionDevice,
      kvType,
      threads,
    };
  }

  /** Starts a conversation. Throws ERR_XGENMM_MODEL_UNSUPPORTED for the base model, which knows no turns. */
  chat(options?: ChatOptions): Chat {
    const { variant } = this.info;
    const { system = variant === '' ? '' : DEFAULT_SYSTEM, overflow = 'error' } = checkOptions(
      options,
      CHAT_RULES,
      'model.chat()',
    );
    this.#engine.assertLive();
    if (variant === 'base') {
      throw new XgenmmError(
        'ERR_XGENMM_MODEL_UNSUPPORTED',
        'Expected an instruct model for a chat, received the base model, which continues prompts: use model.complete() or model.stream()',
      );
    }
    const template = new ChatTemplate(this.#engine, system ?? '');
    return new Chat(this.#engine, template, { imageMode: this.info.imageMode, overflow });
  }

  /** Continues a raw prompt: no template, nothing added around pictures. Rejects with `signal.reason` or an XgenmmError. */
  async complete(content: Content, options?: CompleteOptions): Promise<Answer> {
    return this.stream(content, options).answer();
  }

  /**
   * Continues a raw prompt, piece by piece. Throws ERR_XGENMM_INVALID_ARGUMENT and ERR_XGENMM_DISPOSED; the stream fails with
   * ERR_XGENMM_CONTEXT_OVERFLOW or what decoding a picture throws.
   */
  stream(content: Content, options?: CompleteOptions): AnswerStream {
    const checked = checkOptions(options, COMPLETE_RULES, 'model.stream()');
    const { parseSpecial = false, fetchImages, onProgress } = checked;
    const native = toNativeOptions(checked, this.info, 'model.stream()');
    const parts = parseContent(content, fetchImages);
    this.#engine.assertLive();
    const settings = { parseSpecial, imageMode: this.info.imageMode };
    return new AnswerStream(
      (emit, signal) =>
        withProgress(onProgress, signal, async (report, signal) => {
          const prompt = await buildPrompt(this.#engine, parts, settings, report, signal);
          const whole = joinPassages([prompt]);
          return generateAnswer(this.#engine, whole, prompt.timings, native, { emit, report, signal });
        }),
      checked.signal,
      this.stream,
    );
  }

  /** Encodes a picture once for any number of prompts. Rejects with `signal.reason` or an XgenmmError. */
  encodeImage(image: ImageInput, options?: EncodeImageOptions): Promise<EncodedImage> {
    return new Caller(this.encodeImage).run(async () => {
      const checked = checkOptions(options, ENCODE_RULES, 'model.encodeImage()');
      const { fetchImages = false, onProgress, signal: stop, ...imageOptions } = checked;
      const taken = takeImage(image, 'image', fetchImages);
      this.#engine.assertLive();
      stop?.throwIfAborted();
      return withProgress(onProgress, stop, (report, signal) =>
        this.#encode(taken, imageOptions, report, signal),
      );
    });
  }

  async #encode(
    image: ImageInput,
    options: ImageOptions,
    report: Report,
    signal: AbortSignal | undefined,
  ): Promise<EncodedImage> {
    const { imageMode } = this.info;
    const local = await localImage(image, imageMode, signal);
    const onProgress = (fraction: number) => report('images', fraction);
    const encoded = await encodeImage(this.#engine, local, options, imageMode, signal, onProgress);
    if (!isEncodedImage(local)) onProgress(1);
    return encoded.image;
  }

  /** What the model expects after each position of a raw prompt. Rejects with `signal.reason` or an XgenmmError. */
  logits(content: Content, options?: LogitsOptions): Promise<Logits> {
    return new Caller(this.logits).run(async () => {
      const {
        parseSpecial = false,
        last = 0,
        fetchImages,
        signal,
      } = checkOptions(options, LOGITS_RULES, 'model.logits()');
      const settings = { parseSpecial, imageMode: this.info.imageMode };
      const parts = parseContent(content, fetchImages);
      const prompt = await buildPrompt(this.#engine, parts, settings, () => {}, signal);
      const { tokens, logits, vocabSize } = await this.#engine.computeLogits(
        joinPassages([prompt]),
        Math.min(last, this.info.contextSize),
        false,
        signal,
      );
      return { tokens, logits, vocabSize };
    });
  }

  /** Token ids of a text as it would stand alone in a prompt. */
  tokenize(string: string, options?: TokenizeOptions): Int32Array {
    const { parseSpecial = false } = checkOptions(options, TOKENIZE_RULES, 'model.tokenize()');
    const part = textPart(check(string, text, 'text'));
    return this.#engine.tokenize([part], parseSpecial);
  }

  /** The text of token ids; added tokens are left out, ill-formed bytes become U+FFFD. */
  detokenize(tokens: Int32Array | readonly number[]): string {
    const { vocabSize } = this.info;
    const isToken = (value: unknown) =>
      Number.isInteger(value) && (value as number) >= 0 && (value as number) < vocabSize;
    if (!(tokens instanceof Int32Array || Array.isArray(tokens)) || !Array.from(tokens).every(isToken)) {
      throw invalid('tokens', `an Int32Array or array of integers from 0 to ${vocabSize - 1}`, tokens);
    }
    return this.#engine.detokenize(Int32Array.from(tokens));
  }

  /** Positions that a raw prompt takes, pictures included; these are measured, not encoded. Rejects with an XgenmmError. */
  countTokens(content: Content, options?: CountOptions): Promise<number> {
    return new Caller(this.countTokens).run(async () => {
      const checked = checkOptions(options, COUNT_RULES, 'model.countTokens()');
      const { parseSpecial = false, fetchImages } = checked;
      const { imageMode } = this.info;
      const parts = parseContent(content, fetchImages);
      let count = countText(this.#engine.tokenize(parts.map(toSegment), parseSpecial));
      for (const part of parts) {
        if (part.kind !== 'image') continue;
        const image = await localImage(part.image, imageMode);
        count += await countImageTokens(this.#engine, image, part.options, imageMode);
      }
      return count;
    });
  }

  /** Stops what runs, frees the memory, then resolves. Every call returns the same promise. */
  dispose(): Promise<void> {
    return this.#engine.dispose();
  }

  /** {@link dispose}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }
}
