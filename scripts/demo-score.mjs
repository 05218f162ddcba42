// How well a model answers about drawn scenes, and how well the demo's must.
import { questionsOf, SCENE_OPTIONS, SUBJECTS } from '../dist/cli/scene.js';
import { judge } from '../dist/cli/verdict.js';

/**
 * @typedef {import('../dist/cli/scene.js').Scene} Scene
 * @typedef {import('../dist/cli/scene.js').Subject} Subject
 * @typedef {import('../dist/cli/verdict.js').Verdict} Verdict
 * @typedef {import('../dist/index.js').Model} Model
 * @typedef {{ shows: Subject, pictures: string[], question: string, truth: string, text: string, tokens: Int32Array } & Verdict} GivenAnswer
 * @typedef {{ of: 'right' | 'iou', least: number }} Bar
 * @typedef {{ shows: Subject, questions: number, right: number, rate: number, iou?: number, bar: Bar, ok: boolean }} Score
 */

/** @type {Record<Subject, Bar>} What the part of right answers must be at least; for boxes what theirs and the true one must have in common, on average. */
export const BARS = {
  colour: { of: 'right', least: 0.95 },
  shape: { of: 'right', least: 0.95 },
  position: { of: 'right', least: 0.95 },
  count: { of: 'right', least: 0.95 },
  word: { of: 'right', least: 0.85 },
  box: { of: 'iou', least: 0.7 },
  pair: { of: 'right', least: 0.85 },
  'follow-up': { of: 'right', least: 0.95 },
};

/**
 * Asks about every scene, each in a chat of its own.
 *
 * @param {Model} model
 * @param {readonly Scene[]} scenes
 * @param {(fraction: number) => void} [onProgress]
 * @returns {Promise<GivenAnswer[]>}
 */
export async function askScenes(model, scenes, onProgress = () => {}) {
  /** @type {GivenAnswer[]} */
  const answers = [];
  for (const [index, scene] of scenes.entries()) {
    onProgress(index / scenes.length);
    const { shows, pictures, turns } = scene;
    const chat = model.chat();
    for (const [turn, content] of questionsOf(scene).entries()) {
      const { question, answer: truth } = turns[turn];
      const { text, tokens } = await chat.ask(content, SCENE_OPTIONS);
      answers.push({ shows, pictures, question, truth, text, tokens, ...judge(text, truth) });
    }
  }
  onProgress(1);
  return answers;
}

/**
 * One score for each subject that was asked for.
 *
 * @param {readonly GivenAnswer[]} answers
 * @returns {Score[]}
 */
export function scoreAnswers(answers) {
  return SUBJECTS.flatMap((shows) => {
    const given = answers.filter((answer) => answer.shows === shows);
    if (given.length === 0) return [];
    const bar = BARS[shows];
    const right = given.filter((answer) => answer.right).length;
    const rate = right / given.length;
    const iou = given.reduce((sum, answer) => sum + (answer.iou ?? 0), 0) / given.length;
    const ok = (bar.of === 'iou' ? iou : rate) >= bar.least;
    return [{ shows, questions: given.length, right, rate, ...(bar.of === 'iou' ? { iou } : {}), bar, ok }];
  });
}
