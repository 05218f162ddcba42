import type { ImageTimings } from './encoded-image.js';
import type { Engine } from './engine.js';
import type { NativeGenerateOptions, NativePrompt } from './native.js';
import { abortSignal, boolean, callback, type Rules } from './options.js';
import type { Progress, Report } from './progress.js';
import { SAMPLING_RULES, type SamplingOptions } from './sampling.js';
import { type TokenLogprob, toTokenLogprobs } from './token-logprob.js';

/**
 * Why an answer ended. `stop`: the model ended it, or no token was left that it might choose; `stop-string`: one of `stop`; `length`: `maxTokens`; `context`: the context is
 * full; `cancelled`: the loop over the stream was left.
 */
export type FinishReason = 'stop' | 'stop-string' | 'length' | 'context' | 'cancelled';

/** What the model said, why it ended there, and what it took. */
export interface Answer {
  /** Without the stop string. */
  text: string;
  /** Without the stop token. */
  tokens: Int32Array;
  /** Why it ended; an answer that ended early is as good as it goes. */
  finishReason: FinishReason;
  /** Positions of the context that prompt and answer took. */
  usage: {
    /** Positions of the prompt, pictures and earlier turns included. */
    promptTokens: number;
    /** Those of them that are pictures. */
    imageTokens: number;
    /** Those of them that the engine still had. */
    cachedTokens: number;
    /** Those of the answer: the length of `tokens`. */
    completionTokens: number;
  };
  /** Milliseconds; for pictures, summed over those encoded for this answer. */
  timings: ImageTimings & {
    /** The prompt through the language model. */
    prefill: number;
    /** Everything after the first token. */
    generate: number;
  };
  /** One entry for each of `tokens`; only where `logprobs` asked for them, and not in an answer that was left before it began. */
  logprobs?: TokenLogprob[];
}

export interface GenerateOptions extends SamplingOptions {
  /**
   * Fetch pictures that are http(s) URLs; default false. Of each at most 50 MiB within 30 s and 3 redirects, and only from public
   * addresses: ERR_XGENMM_IMAGE_FETCH otherwise.
   */
  fetchImages?: boolean | undefined;
  /** Told how far the pictures and the prompt are. If it throws, the request is cancelled and rejects with what was thrown. */
  onProgress?: ((progress: Progress) => void) | undefined;
  /** Rejects with `signal.reason`. */
  signal?: AbortSignal | undefined;
}

export interface CompleteOptions extends GenerateOptions {
  /** Parse the prompt's texts for special tokens; default false. */
  parseSpecial?: boolean | undefined;
}

export const GENERATE_RULES: Rules<GenerateOptions> = {
  ...SAMPLING_RULES,
  fetchImages: boolean,
  onProgress: callback<(progress: Progress) => void>(),
  signal: abortSignal,
};

export const COMPLETE_RULES: Rules<CompleteOptions> = { ...GENERATE_RULES, parseSpecial: boolean };

/**
 * Lets the engine answer `prompt`, whose pictures took `timings`; text goes to `emit` as it comes. Cancelled, it resolves with what
 * there is.
 */
export async function generateAnswer(
  engine: Engine,
  prompt: NativePrompt,
  timings: ImageTimings,
  options: NativeGenerateOptions,
  { emit, report, signal }: { emit(text: string): void; report: Report; signal: AbortSignal | undefined },
): Promise<Answer> {
  const read = (fraction: number) => report('prompt', fraction);
  const receive = (text: string) => {
    read(1);
    emit(text);
  };
  const generated = await engine.generate(prompt, options, receive, signal, read);
  const { text, tokens, finishReason, promptTokens, cachedTokens } = generated;
  if (finishReason !== 'cancelled') read(1);
  const imageTokens = prompt.images.reduce((sum, image) => sum + image.length / engine.info.width, 0);
  const answer: Answer = {
    text,
    tokens,
    finishReason,
    usage: { promptTokens, imageTokens, cachedTokens, completionTokens: tokens.length },
    timings: { ...timings, prefill: generated.prefillMs, generate: generated.generateMs },
  };
  if (options.logprobs >= 0) {
    const { logprobs, topTokens, topLogprobs } = generated;
    const top = { tokens: topTokens, logprobs: topLogprobs, count: options.logprobs };
    answer.logprobs = toTokenLogprobs(tokens, logprobs, top);
  }
  return answer;
}
