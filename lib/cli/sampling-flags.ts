import { type Command, InvalidArgumentError } from 'commander';
import type { GenerateOptions } from '../answer.js';
import { SAMPLING_RULES, type SamplingOptions } from '../sampling.js';
import { collect, numberThat } from './flag-values.js';

/** What `ask` and `chat` let a user say about how tokens are chosen. */
export type SamplingFlags = Pick<
  SamplingOptions,
  'maxTokens' | 'temperature' | 'topK' | 'topP' | 'minP' | 'repetitionPenalty'
> & { seed?: bigint; stop?: string[] };

export function addSamplingFlags(command: Command): Command {
  return command
    .option(
      '-n, --max-tokens <count>',
      'longest answer, in tokens (default: what the context holds)',
      numberThat(SAMPLING_RULES.maxTokens),
    )
    .option(
      '-t, --temperature <number>',
      'randomness; 0 always takes the likeliest token (default: 0)',
      numberThat(SAMPLING_RULES.temperature),
    )
    .option(
      '--top-k <count>',
      'draw among that many likeliest tokens (default: all)',
      numberThat(SAMPLING_RULES.topK),
    )
    .option(
      '--top-p <fraction>',
      'draw among the likeliest tokens that add up to this probability (default: 1)',
      numberThat(SAMPLING_RULES.topP),
    )
    .option(
      '--min-p <fraction>',
      'leave out tokens less likely than this fraction of the likeliest (default: 0)',
      numberThat(SAMPLING_RULES.minP),
    )
    .option(
      '--repetition-penalty <number>',
      'above 1: less of what the answer has said already (default: 1)',
      numberThat(SAMPLING_RULES.repetitionPenalty),
    )
    .option('--seed <integer>', 'the same seed draws the same answer (default: another each time)', parseSeed)
    .option('--stop <text>', 'end the answer before this text; may be given several times', collectStop);
}

export function samplingOptions(flags: SamplingFlags): GenerateOptions {
  const { maxTokens, temperature, topK, topP, minP, repetitionPenalty, seed, stop } = flags;
  return { maxTokens, temperature, topK, topP, minP, repetitionPenalty, seed, stop };
}

function parseSeed(value: string): bigint {
  // More digits than a number holds.
  const seed = /^\d{1,20}$/.test(value) ? BigInt(value) : -1n;
  if (!SAMPLING_RULES.seed.accepts(seed)) {
    throw new InvalidArgumentError(`Expected ${SAMPLING_RULES.seed.expected}.`);
  }
  return seed;
}

function collectStop(value: string, values?: string[]): string[] {
  if (value === '') throw new InvalidArgumentError('Expected a text that is not empty.');
  return collect(value, values);
}
