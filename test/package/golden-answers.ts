import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { deserialize, serialize } from 'node:v8';
import { expect } from 'vitest';
import type { Content } from '../../lib/index.js';
import { type RunOptions, runProgram } from '../cli/run.js';
import { modelFile, root } from '../files.js';
import { type GoldenCase, goldenCases } from '../golden/golden-case.js';
import { type Bound, expectClose, F16, F32 } from '../golden/tolerance.js';

/** What answers.mjs is asked. */
export interface Request {
  /** The path of an installation's main file; without: the one that the project finds by its name. */
  installation?: string;
  file: string;
  content: Content;
  last: number;
  maxTokens: number;
}

interface Answer {
  logits: Float32Array;
  tokens: number[];
}

/** A golden case, and the model that it is of. */
export interface Question {
  golden: GoldenCase;
  model: string;
  tolerance: Bound;
  installation?: string;
}

const TINY = goldenCases('cases').filter(({ json }) => json.tokenizer_style === 'slow');
const WIDE = goldenCases('wide', 'cases', 'wide');

/** Cases of both sizes of heads, in f32 and f16; `small`: one with a picture and one without, of the small model. */
export function questions(size: 'all' | 'small'): Question[] {
  const tiny = TINY.filter(({ name }) => size === 'all' || /^(01|11)_/.test(name));
  return [
    ...tiny.map((golden) => ({ golden, model: 'tiny-f32', tolerance: F32.logits })),
    ...(size === 'small' ? [] : WIDE.map((golden) => ({ golden, model: 'wide-f32', tolerance: F32.logits }))),
    ...(size === 'small' ? [] : WIDE.map((golden) => ({ golden, model: 'wide-f16', tolerance: F16.logits }))),
  ];
}

/** Has the installation in `project` answer, all in one process which `start` begins, and compares with the reference. */
export async function expectGoldenAnswers(
  project: string,
  asked: Question[],
  start: string[] = [process.execPath],
  options: RunOptions = {},
): Promise<void> {
  const program = join(project, 'answers.mjs');
  copyFileSync(join(root, 'test', 'package', 'answers.mjs'), program);
  const [requests, results] = [join(project, 'requests'), join(project, 'results')];
  const work: Request[] = asked.map(({ golden, model, installation }) => ({
    ...(installation === undefined ? {} : { installation }),
    file: modelFile(model),
    content: golden.rawContent(),
    last: golden.shape('logits_last')[0] ?? 0,
    maxTokens: golden.json.greedy_ids.length,
  }));
  writeFileSync(requests, serialize(work));
  const [command = '', ...args] = [...start, program, requests, results];
  const { code, stderr } = await runProgram(command, args, { cwd: project, ...options });
  expect(code, stderr).toBe(0);
  const answers = deserialize(readFileSync(results)) as Answer[];
  expect(answers.length).toBe(asked.length);
  for (const [i, { golden, tolerance }] of asked.entries()) {
    const answer = answers[i] as Answer;
    expectClose(answer.logits, golden.floats('logits_last'), tolerance);
    expect([...answer.tokens]).toEqual(golden.answer);
  }
}
