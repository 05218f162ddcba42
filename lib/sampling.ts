import type { NativeGenerateOptions, NativeModelInfo } from './native.js';
import {
  finiteNumber,
  fraction,
  integerBetween,
  invalid,
  isFiniteFloat,
  isPlainObject,
  nonNegativeInteger,
  nonNegativeNumber,
  positiveFraction,
  positiveInteger,
  positiveNumber,
  type Rules,
  rule,
} from './options.js';

/**
 * How tokens are chosen. The options are applied in this order: `logitBias`, `repetitionPenalty`, `presencePenalty` and
 * `frequencyPenalty`, `noRepeatNgramSize`, `minTokens`, `temperature`, `topK`, `topP`, `minP`, then the draw.
 */
export interface SamplingOptions {
  /** The longest answer, in tokens. Default: as many as the context holds. */
  maxTokens?: number | undefined;
  /** No stop token before that many tokens; at most `maxTokens`, default 0. Stop strings end an answer all the same. */
  minTokens?: number | undefined;
  /** Divides the logits. 0, the default, is greedy: always the likeliest token. */
  temperature?: number | undefined;
  /** Draws among that many likeliest tokens, at least 1. Default: all. */
  topK?: number | undefined;
  /** Draws among the fewest likeliest tokens whose probabilities add up to this or more; above 0, default 1 (all). */
  topP?: number | undefined;
  /** Leaves out tokens less likely than this fraction of the likeliest one's probability; 0 (the default, none) to 1. */
  minP?: number | undefined;
  /** Divides the positive and multiplies the negative logits of tokens generated so far; default 1 (off). */
  repetitionPenalty?: number | undefined;
  /** Subtracted from the logits of tokens generated so far; default 0. */
  presencePenalty?: number | undefined;
  /** Subtracted from a token's logit once for each time it was generated so far; default 0. */
  frequencyPenalty?: number | undefined;
  /** No run of that many generated tokens occurs twice; at least 1. Default: off. */
  noRepeatNgramSize?: number | undefined;
  /** Added to the logits of token ids, which are the keys: finite numbers, or -Infinity, which bans a token. */
  logitBias?: Readonly<Record<number | string, number>> | undefined;
  /** 0 to 2^64 - 1; the same seed gives the same answer. Default: random. */
  seed?: number | bigint | undefined;
  /** The answer ends before the first of these. */
  stop?: string | string[] | undefined;
  /** Asks for `logprobs` in the answer, with that many (0 to 20) of the likeliest tokens listed for each token of it. */
  logprobs?: number | undefined;
}

export const SAMPLING_RULES: Rules<SamplingOptions> = {
  maxTokens: positiveInteger,
  minTokens: nonNegativeInteger,
  temperature: nonNegativeNumber,
  topK: positiveInteger,
  topP: positiveFraction,
  minP: fraction,
  repetitionPenalty: positiveNumber,
  presencePenalty: finiteNumber,
  frequencyPenalty: finiteNumber,
  noRepeatNgramSize: positiveInteger,
  logitBias: rule<Readonly<Record<number | string, number>>>('a plain object', isPlainObject),
  seed: rule<number | bigint>('an integer from 0 to 2^64 - 1', isSeed),
  stop: rule<string | string[]>('a non-empty string or an array of them', isStop),
  logprobs: integerBetween(0, 20),
};

/**
 * Checked options as the engine takes them, later changes to the caller's objects excluded. `owner` names the function in messages.
 * Throws ERR_XGENMM_INVALID_ARGUMENT for what no single rule sees: a token that the vocabulary lacks, `minTokens` above `maxTokens`.
 */
export function toNativeOptions(
  options: SamplingOptions,
  { contextSize, vocabSize }: Pick<NativeModelInfo, 'contextSize' | 'vocabSize'>,
  owner: string,
): NativeGenerateOptions {
  const { maxTokens = contextSize, minTokens = 0 } = options;
  if (minTokens > maxTokens) {
    throw invalid(`minTokens in ${owner}`, `at most maxTokens (${maxTokens})`, minTokens);
  }
  return {
    maxTokens: Math.min(maxTokens, contextSize),
    minTokens: Math.min(minTokens, contextSize),
    temperature: options.temperature ?? 0,
    topK: options.topK ?? 0,
    topP: options.topP ?? 1,
    minP: options.minP ?? 0,
    repetitionPenalty: options.repetitionPenalty ?? 1,
    presencePenalty: options.presencePenalty ?? 0,
    frequencyPenalty: options.frequencyPenalty ?? 0,
    noRepeatNgramSize: options.noRepeatNgramSize ?? 0,
    logitBias: readLogitBias(options.logitBias ?? {}, vocabSize, owner),
    seed: options.seed === undefined ? randomSeed() : BigInt(options.seed),
    stop: [options.stop ?? []].flat(),
    logprobs: options.logprobs ?? -1,
  };
}

function readLogitBias(
  biases: Readonly<Record<string, number>>,
  vocabSize: number,
  owner: string,
): NativeGenerateOptions['logitBias'] {
  const entries = Object.entries(biases);
  for (const [token, bias] of entries) {
    if (!/^(0|[1-9]\d*)$/.test(token) || Number(token) >= vocabSize) {
      throw invalid(`the keys of logitBias in ${owner}`, `token ids from 0 to ${vocabSize - 1}`, token);
    }
    if (!isFiniteFloat(bias) && bias !== Number.NEGATIVE_INFINITY) {
      throw invalid(`logitBias[${token}] in ${owner}`, 'a finite number or -Infinity', bias);
    }
  }
  return {
    tokens: Int32Array.from(entries, ([token]) => Number(token)),
    values: Float32Array.from(entries, ([, bias]) => bias),
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
