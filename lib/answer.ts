import type { ImageTimings } from './encoded-image.js';
import type { Engine } from './engine.js';
import type { NativeGenerateOptions } from './native.js';
import {
  abortSignal,
  boolean,
  nonNegativeNumber,
  positiveInteger,
  positiveNumber,
  type Rules,
  rule,
} from './options.js';
import type { Prompt } from './prompt.js';

/**
 * Why an answer ended. `stop`: the model ended it; `stop-string`: one of `stop`; `length`: `maxTokens`; `context`: the context is
 * full; `cancelled`: the loop over the stream was left.
 */
export type FinishReason = 'stop' | 'stop-string' | 'length' | 'context' | 'cancelled';

export interface Answer {
  /** Without the stop string. */
  text: string;
  /** Without the stop token. */
  tokens: Int32Array;
  finishReason: FinishReason;
  usage: {
    /** Positions of the prompt, pictures and earlier turns included. */
    promptTokens: number;
    /** Those of them that are pictures. */
    imageTokens: number;
    /** Those of them that the engine still had. */
    cachedTokens: number;
    completionTokens: number;
  };
  /** Milliseconds; for pictures, summed over those encoded for this answer. */
  timings: ImageTimings & {
    /** The prompt through the language model. */
    prefill: number;
    /** Everything after the first token. */
    generate: number;
  };
}

export interface GenerateOptions {
  /** Default: as many as the context holds. */
  maxTokens?: number | undefined;
  /** 0, the default, is greedy: always the likeliest token. */
  temperature?: number | undefined;
  /** Divides the positive and multiplies the negative logits of tokens generated so far; default 1 (off). */
  repetitionPenalty?: number | undefined;
  /** 0 to 2^64 - 1; the same seed gives the same answer. Default: random. */
  seed?: number | bigint | undefined;
  /** The answer ends before the first of these. */
  stop?: string | string[] | undefined;
  /** Rejects with `signal.reason`. */
  signal?: AbortSignal | undefined;
}

export interface CompleteOptions extends GenerateOptions {
  /** Parse the prompt's texts for special tokens; default false. */
  parseSpecial?: boolean | undefined;
}

export const GENERATE_RULES: Rules<GenerateOptions> = {
  maxTokens: positiveInteger,
  temperature: nonNegativeNumber,
  repetitionPenalty: positiveNumber,
  seed: rule<number | bigint>('an integer from 0 to 2^64 - 1', isSeed),
  stop: rule<string | string[]>('a non-empty string or an array of them', isStop),
  signal: abortSignal,
};

export const COMPLETE_RULES: Rules<CompleteOptions> = { ...GENERATE_RULES, parseSpecial: boolean };

/** Lets the engine answer `prompt`; text goes to `emit` as it comes. Cancelled, it resolves with what there is. */
export async function generateAnswer(
  engine: Engine,
  prompt: Prompt,
  options: GenerateOptions,
  emit: (text: string) => void,
  signal: AbortSignal,
): Promise<Answer> {
  const generated = await engine.generate(prompt, toNative(options, engine.info.contextSize), emit, signal);
  const { text, tokens, finishReason, promptTokens, cachedTokens } = generated;
  const imageTokens = prompt.images.reduce((sum, image) => sum + image.length / engine.info.width, 0);
  return {
    text,
    tokens,
    finishReason,
    usage: { promptTokens, imageTokens, cachedTokens, completionTokens: tokens.length },
    timings: { ...prompt.timings, prefill: generated.prefillMs, generate: generated.generateMs },
  };
}

function toNative(options: GenerateOptions, contextSize: number): NativeGenerateOptions {
  return {
    maxTokens: Math.min(options.maxTokens ?? contextSize, contextSize),
    temperature: options.temperature ?? 0,
    repetitionPenalty: options.repetitionPenalty ?? 1,
    seed: options.seed === undefined ? randomSeed() : BigInt(options.seed),
    stop: [options.stop ?? []].flat(),
  };
}

function randomSeed(): bigint {
  return crypto.getRandomValues(new BigUint64Array(1))[0] as bigint;
}

function isSeed(value: unknown): boolean {
  if (typeof value === 'bigint') return value >= 0n && value < 1n << 64n;
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isStop(value: unknown): boolean {
  return [value].flat().every((item) => typeof item === 'string' && item !== '');
}
