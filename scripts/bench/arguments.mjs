import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';

export const SECTIONS = /** @type {const} */ ([
  'peaks',
  'load',
  'vision',
  'first-token',
  'prefill',
  'decode',
  'speculation',
  'together',
]);
export const TYPES = /** @type {const} */ (['q4_k_m', 'q8_0']);
const MAX_ROUNDS = 100;

export const USAGE = `usage: npm run bench -- [options]

Measures a model of the official size with random weights, beside what the machine can do at most and, where they are named,
beside llama.cpp and PyTorch on the same shapes. Wants a machine that does nothing else.

  --type TYPE          how the language model is stored: ${TYPES.join(' or ')} (default ${TYPES[0]}); the vision part is q8_0
  --llama-bench FILE   llama.cpp's llama-bench, which scripts/llama-cpp.mjs builds
  --torch PYTHON       a Python that has PyTorch, which runs SigLIP so400m and a resampler in bf16
  --rounds N           how often everything is measured, all programs in turns (default 3)
  --threads N          threads of each program (default: as many as a model takes that is loaded without saying how many)
  --only SECTIONS      some of ${SECTIONS.join(',')}
  --model FILE         any model file in place of the one with random weights
  --llama-model FILE   with --model and --llama-bench: a phi3 file of the same shapes and types, for llama.cpp
  --json               JSON on stdout in place of the table (npm run --silent bench -- --json > results.json)
  --help               this text
`;

/**
 * @typedef {typeof SECTIONS[number]} Section
 * @typedef {typeof TYPES[number]} TextType
 * @typedef {{
 *   type: TextType, model?: string, llamaModel?: string, llamaBench?: string, torch?: string,
 *   rounds: number, threads?: number, sections: Section[], json: boolean,
 * }} BenchOptions
 */

/** What is wrong with how the benchmark was called. */
export class UsageError extends Error {}

/**
 * Throws a UsageError; undefined: help is wanted.
 * @param {string[]} args
 * @returns {BenchOptions | undefined}
 */
export function parseArguments(args) {
  const values = parse(args);
  if (values.help) return undefined;
  const { model, type, torch } = values;
  const llamaModel = values['llama-model'];
  const llamaBench = values['llama-bench'];
  if (type !== undefined && model !== undefined) {
    throw new UsageError('Expected --type or --model, received both: a file has its types already');
  }
  if (llamaBench !== undefined && (model === undefined) !== (llamaModel === undefined)) {
    throw new UsageError(
      'Expected both --model and --llama-model beside --llama-bench, received one of them',
    );
  }
  if (llamaBench === undefined && llamaModel !== undefined) {
    throw new UsageError('Expected --llama-bench beside --llama-model, received none');
  }
  return {
    type: oneOf(type ?? TYPES[0], TYPES, '--type'),
    model,
    llamaModel,
    llamaBench,
    torch,
    rounds: integer(values.rounds ?? '3', MAX_ROUNDS, '--rounds'),
    threads:
      values.threads === undefined
        ? undefined
        : integer(values.threads, 4 * availableParallelism(), '--threads'),
    sections: (values.only ?? SECTIONS.join()).split(',').map((name) => oneOf(name, SECTIONS, '--only')),
    json: values.json ?? false,
  };
}

/** @param {string[]} args */
function parse(args) {
  const text = /** @type {const} */ ({ type: 'string' });
  const flag = /** @type {const} */ ({ type: 'boolean' });
  try {
    return parseArgs({
      args,
      options: {
        ...{ type: text, model: text, 'llama-model': text, 'llama-bench': text, torch: text },
        ...{ rounds: text, threads: text, only: text, json: flag, help: { ...flag, short: 'h' } },
      },
    }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

/**
 * @template {string} T
 * @param {string} value
 * @param {readonly T[]} names
 * @param {string} option
 */
function oneOf(value, names, option) {
  const found = names.find((name) => name === value);
  if (found === undefined)
    throw new UsageError(`Expected ${names.join(', ')} for ${option}, received '${value}'`);
  return found;
}

/**
 * @param {string} value
 * @param {number} most
 * @param {string} option
 */
function integer(value, most, option) {
  const number = Number(value);
  if (!/^\d+$/.test(value) || number < 1 || number > most) {
    throw new UsageError(`Expected an integer from 1 to ${most} for ${option}, received '${value}'`);
  }
  return number;
}
