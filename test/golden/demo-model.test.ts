import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { beforeAll, expect, test, vi } from 'vitest';
import { readScenes, type Scene, SUBJECTS, type Subject } from '../../lib/cli/scene.js';
import { loadModel, type Model } from '../../lib/index.js';
import { fixture, root } from '../files.js';

// Fifty scenes, which a busy machine may take its time over.
vi.setConfig({ testTimeout: 600_000 });

interface GivenAnswer {
  shows: Subject;
  question: string;
  truth: string;
  text: string;
  right: boolean;
  iou?: number;
}

interface Score {
  shows: Subject;
  questions: number;
  right: number;
  iou?: number;
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

test("the demo's model knows the scenes of the tests", async () => {
  const scenes = await readScenes(fixture('demo-scenes'));
  const model = await loadModel('demo');
  try {
    const answers = await scoring.askScenes(model, scenes);
    const scores = scoring.scoreAnswers(answers);
    expect(scores.map(({ shows }) => shows)).toEqual([...SUBJECTS]);
    const wrong = answers.filter(({ right }) => !right);
    expect({ missed: scores.filter(({ ok }) => !ok), wrong }).toMatchObject({ missed: [] });
  } finally {
    await model.dispose();
  }
});
