import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { loadModel } from '../../lib/index.js';
import { modelFile, picture } from '../files.js';
import { runScript } from './run.js';

// Programs are started one after another, which a busy machine may take its time over.
vi.setConfig({ testTimeout: 300_000 });

const TINY = modelFile('tiny-f32');
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

/** Evaluates the model on the picture, where these answers are true. */
function evaluate(answers: string[], ...flags: string[]) {
  const turns = QUESTIONS.map((question, turn) => ({ question, answer: answers[turn] }));
  const scenes = [{ pictures: ['a.png'], turns, shows: 'colour' }];
  writeFileSync(join(folder, 'scenes.json'), JSON.stringify(scenes));
  return runScript('scripts/evaluate-demo.mjs', [folder, '--model', TINY, ...flags]);
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
