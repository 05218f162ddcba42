import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { beforeAll, expect, test, vi } from 'vitest';
import { readScenes, type Scene, SUBJECTS, type Subject } from '../../lib/cli/scene.js';
import { convert } from '../../lib/convert/convert.js';
import { TEXT_TYPES, type TextType } from '../../lib/convert/mixture.js';
import { loadModel, type Model } from '../../lib/index.js';
import { fixture, root } from '../files.js';

// Fifty scenes, which a busy machine may take its time over.
vi.setConfig({ testTimeout: 600_000 });

interface GivenAnswer {
  shows: Subject;
  question: string;
  truth: string;
  text: string;
  tokens: Int32Array;
  right: boolean;
  iou?: number;
}

interface Score {
  shows: Subject;
  questions: number;
  right: number;
  iou?: number;
  bar: { of: 'right' | 'iou' };
  ok: boolean;
}

let scoring: {
  askScenes(model: Model, scenes: readonly Scene[]): Promise<GivenAnswer[]>;
  scoreAnswers(answers: readonly GivenAnswer[]): Score[];
};
beforeAll(async () => {
  scoring = await import(pathToFileURL(join(root, 'scripts', 'demo-score.mjs')).href);
});

/** So many right answers of so many. */
function given(shows: Subject, right: number, questions: number): GivenAnswer[] {
  return Array.from({ length: questions }, (_, index) => ({
    shows,
    question: '?',
    truth: '!',
    text: '',
    tokens: new Int32Array(),
    right: index < right,
  }));
}

test.each<[Subject, number, boolean]>([
  ['colour', 19, true],
  ['shape', 18, false],
  ['position', 19, true],
  ['count', 18, false],
  ['word', 17, true],
  ['pair', 16, false],
  ['follow-up', 19, true],
])('%s: %i right answers of 20', (shows, right, ok) => {
  expect(scoring.scoreAnswers(given(shows, right, 20))).toMatchObject([{ shows, questions: 20, right, ok }]);
});

test.each([
  [0.8, 0.6, true],
  [0.8, 0.5, false],
  [1, undefined, false],
])('boxes that have %s and %s in common with the true ones', (first, second, ok) => {
  const boxes = [first, second].map((iou) => ({ ...given('box', 1, 1)[0], ...(iou && { iou }) }));
  expect(scoring.scoreAnswers(boxes as GivenAnswer[])).toMatchObject([
    { shows: 'box', iou: (first + (second ?? 0)) / 2, ok },
  ]);
});

/** Puts the questions of all scenes to a model. */
async function ask(file: string, scenes: readonly Scene[]): Promise<GivenAnswer[]> {
  const model = await loadModel(file);
  try {
    return await scoring.askScenes(model, scenes);
  } finally {
    await model.dispose();
  }
}

/** A subject has six or seven questions here, of which one wrong answer alone would miss its bar: scripts/evaluate-demo.mjs asks enough. */
const SLIPS = 1;

function expectGood(answers: readonly GivenAnswer[]): void {
  const scores = scoring.scoreAnswers(answers);
  expect(scores.map(({ shows }) => shows)).toEqual([...SUBJECTS]);
  const wrong = answers.filter(({ right }) => !right);
  const missed = scores.filter(
    ({ ok, bar, questions, right }) => !ok && (bar.of === 'iou' || questions - right > SLIPS),
  );
  expect({ missed, wrong }).toMatchObject({ missed: [] });
}

test("the demo's model knows the scenes of the tests", async () => {
  expectGood(await ask('demo', await readScenes(fixture('demo-scenes'))));
});

/** The checkpoint that the demo's model is made of. */
const checkpoint = join(root, 'tools', 'demo-model', 'xgen-mm-demo-interleave');

test('in f32 it says token by token what the program that trained it says', async () => {
  const scenes = await readScenes(fixture('demo-scenes'));
  const expected = JSON.parse(await readFile(fixture('demo-scenes', 'tokens.json'), 'utf8')) as number[][][];
  await withConverted('f32', async (file) => {
    const answers = await ask(file, scenes);
    expectGood(answers);
    expect(answers.map(({ tokens }) => [...tokens])).toEqual(expected.flat());
  });
});

test.each(TEXT_TYPES.filter((type) => type !== 'f32'))('as %s it knows the scenes as well', async (type) => {
  const scenes = await readScenes(fixture('demo-scenes'));
  await withConverted(type, async (file) => expectGood(await ask(file, scenes)));
});

async function withConverted(type: TextType, use: (file: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'xgen-mm-'));
  try {
    const file = join(folder, `${type}.gguf`);
    await convert(checkpoint, file, { type });
    await use(file);
  } finally {
    await rm(folder, { recursive: true });
  }
}
