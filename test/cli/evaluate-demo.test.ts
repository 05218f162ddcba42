import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { loadModel } from '../../lib/index.js';
import { modelFile, picture, root } from '../files.js';
import { type RunOptions, runProgram, runScript } from './run.js';

// Programs are started one after another, which a busy machine may take its time over.
vi.setConfig({ testTimeout: 300_000 });

const TINY = modelFile('tiny-f32');
const SCRIPT = 'scripts/evaluate-demo.mjs';
const QUESTIONS = ['What color is it?', 'Where is it?'] as const;

let folder: string;
/** What the model says of the picture, one question after another in one chat. */
let truth: string[];
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'xgen-mm-'));
  copyFileSync(picture(), join(folder, 'a.png'));
  const model = await loadModel(TINY);
  const chat = model.chat();
  const first = await chat.ask([{ image: picture() }, QUESTIONS[0]], { maxTokens: 60 });
  truth = [first.text, (await chat.ask(QUESTIONS[1], { maxTokens: 60 })).text];
  await model.dispose();
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Lists the picture as a scene, where these answers are true. */
function writeScene(answers: string[], name = 'a.png'): void {
  const turns = QUESTIONS.map((question, turn) => ({ question, answer: answers[turn] }));
  const scenes = [{ pictures: [name], turns, shows: 'colour' }];
  writeFileSync(join(folder, 'scenes.json'), JSON.stringify(scenes));
}

function evaluateFolder(flags: string[] = [], options?: RunOptions) {
  return runScript(SCRIPT, [folder, '--model', TINY, ...flags], options);
}

/** Evaluates the model on the picture, where these answers are true. */
function evaluate(answers: string[], ...flags: string[]) {
  writeScene(answers);
  return evaluateFolder(flags);
}

test('a model that is right reaches the bar', async () => {
  const { code, stdout, stderr } = await evaluate(truth, '--wrong');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toMatch(/^colour +2 +2 +100\.0 % +95\.0 % +ok$/m);
  expect(stdout).toContain('Every bar is reached.');
});

test('one that is wrong does not, and its answers are listed', async () => {
  const { code, stdout } = await evaluate([truth[0] as string, 'left'], '--wrong');
  expect(code).toBe(1);
  expect(stdout).toMatch(/^colour +2 +1 +50\.0 % +95\.0 % +MISSED$/m);
  expect(stdout).toMatch(/^a\.png, colour: Where is it\?\n {2}".*" for "left"$/m);
  expect(stdout).not.toContain(QUESTIONS[0]);
  expect(stdout).not.toMatch(/[^\P{Control}\n]/u);
});

test('--json has it all', async () => {
  const { code, stdout } = await evaluate(['red', truth[1] as string], '--json');
  expect(code).toBe(1);
  expect(JSON.parse(stdout)).toMatchObject({
    scores: [{ shows: 'colour', questions: 2, right: 1, rate: 0.5, ok: false }],
    missed: ['colour'],
    wrong: [{ question: QUESTIONS[0], truth: 'red', text: truth[0], right: false }],
  });
});

describe('how it is used', () => {
  const usage = expect.stringMatching(/^usage: node scripts\/evaluate-demo\.mjs .*\n$/);

  test.each(['--help', '-h'])('is said by %s', async (flag) => {
    expect(await runScript(SCRIPT, [flag])).toEqual({ code: 0, stdout: usage, stderr: '' });
  });

  test.each([[['--wrnog']], [['--model']], [['a', 'b']]])('and to who writes %j', async (flags) => {
    expect(await runScript(SCRIPT, flags)).toEqual({ code: 2, stdout: '', stderr: usage });
  });
});

describe('what leaves the bars unmeasured is one line, with exit code 2', () => {
  /** As `xgen-mm` says it. */
  const line = (code: string) => expect.stringMatching(new RegExp(`^xgen-mm: .* \\(${code}\\)\n$`));
  const failed = (code: string) => ({ code: 2, stdout: '', stderr: line(code) });

  test('no folder', async () => {
    expect(await runScript(SCRIPT, [join(folder, 'none')])).toEqual(failed('ERR_XGENMM_FILE_NOT_FOUND'));
  });

  test('no list', async () => {
    writeFileSync(join(folder, 'scenes.json'), '[{');
    expect(await evaluateFolder()).toEqual(failed('ERR_XGENMM_INVALID_ARGUMENT'));
  });

  test('no model', async () => {
    writeScene(truth);
    const flags = ['--model', join(folder, 'none.gguf')];
    expect(await evaluateFolder(flags)).toEqual(failed('ERR_XGENMM_FILE_NOT_FOUND'));
  });

  test('no picture, which is found out before the model is loaded', async () => {
    writeScene(truth, 'none.png');
    const run = await evaluateFolder(['--model', join(folder, 'none.gguf')]);
    expect(run).toEqual(failed('ERR_XGENMM_FILE_NOT_FOUND'));
    expect(run.stderr).toContain('picture');
  });

  test('half a picture', async () => {
    const bytes = readFileSync(picture());
    writeFileSync(join(folder, 'half.png'), bytes.subarray(0, bytes.length / 2));
    writeScene(truth, 'half.png');
    expect(await evaluateFolder()).toEqual(failed('ERR_XGENMM_IMAGE_DECODE'));
  });

  // Windows says EOF where others say EPIPE, and /dev/full is Linux's.
  test.skipIf(process.platform !== 'linux').each([
    ['a full disk', '> /dev/full'],
    ['a reader that has gone away', '| true'],
  ])('%s', async (_, end) => {
    writeScene(['red', 'left']);
    const script = `{ "$0" "$@"; echo "exit code $?" >&2; } ${end}`;
    const args = [process.execPath, join(root, SCRIPT), folder, '--model', TINY];
    const { stdout, stderr } = await runProgram('sh', ['-c', script, ...args]);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^xgen-mm: .* \(ERR_XGENMM_WRITE_FAILED\)\nexit code 2\n$/);
  });
});
