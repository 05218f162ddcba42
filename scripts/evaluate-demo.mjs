// node scripts/evaluate-demo.mjs [FOLDER] [--model FILE] [--wrong] [--json]: how well a model answers about the scenes in a folder, the demo's
// model about those of the tests unless told otherwise, as a table on stdout; --wrong lists the wrong answers. The exit code is 1 when a
// bar is missed. The package must be built first.
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const { readScenes } = await import('../dist/cli/scene.js');
const { StageBar } = await import('../dist/cli/stage-bar.js');
const { formatTable } = await import('../dist/cli/table.js');
const { visible, visibleJson } = await import('../dist/cli/visible.js');
const { loadModel } = await import('../dist/index.js');
const { askScenes, scoreAnswers } = await import('./demo-score.mjs');

/**
 * @typedef {import('./demo-score.mjs').GivenAnswer} GivenAnswer
 * @typedef {import('./demo-score.mjs').Score} Score
 */

const { values, positionals } = parseArgs({
  options: { model: { type: 'string' }, wrong: { type: 'boolean' }, json: { type: 'boolean' } },
  allowPositionals: true,
});
const [folder = join(root, 'test', 'fixtures', 'demo-scenes')] = positionals;
if (positionals.length > 1) {
  process.stderr.write('usage: node scripts/evaluate-demo.mjs [FOLDER] [--model FILE] [--wrong] [--json]\n');
  process.exit(2);
}

const scenes = await readScenes(folder);
const model = await loadModel(values.model ?? 'demo');
const bar = new StageBar();
/** @type {GivenAnswer[]} */
let answers;
try {
  answers = await askScenes(model, scenes, (fraction) => bar.show('Asking', fraction));
} finally {
  bar.clear();
  await model.dispose();
}
const scores = scoreAnswers(answers);
const missed = scores.filter(({ ok }) => !ok).map(({ shows }) => shows);
const wrong = answers.filter(({ right }) => !right);
if (values.json) {
  const listed = wrong.map((answer) => ({ ...answer, tokens: [...answer.tokens] }));
  process.stdout.write(`${visibleJson({ scores, missed, wrong: listed })}\n`);
} else {
  print(...tableOf(scores));
  if (values.wrong) print(...wrong.flatMap(describeWrong));
  print('', missed.length === 0 ? 'Every bar is reached.' : `Missed: ${missed.join(', ')}`);
}
if (missed.length > 0) process.exitCode = 1;

/** @param {Score[]} scores */
function tableOf(scores) {
  const sum = (/** @type {'questions' | 'right'} */ name) =>
    scores.reduce((total, score) => total + score[name], 0);
  const all = [sum('questions'), sum('right')];
  return formatTable([
    ['', 'questions', 'right', '', 'mean IoU', 'bar', ''],
    ...scores.map(({ shows, questions, right, rate, iou, bar: { of, least }, ok }) => [
      shows,
      `${questions}`,
      `${right}`,
      percent(rate),
      iou?.toFixed(2) ?? '',
      of === 'iou' ? `IoU ${least.toFixed(2)}` : percent(least),
      ok ? 'ok' : 'MISSED',
    ]),
    ['all', `${all[0]}`, `${all[1]}`, percent(all[1] / all[0]), '', '', ''],
  ]);
}

/** @param {GivenAnswer} answer */
function describeWrong({ shows, pictures, question, truth, text, iou }) {
  const names = pictures.map((picture) => basename(picture)).join(', ');
  const near = iou === undefined ? '' : `, IoU ${iou.toFixed(2)}`;
  return [
    '',
    visible(`${names}, ${shows}: ${question}`),
    visible(`  ${JSON.stringify(text)} for ${JSON.stringify(truth)}${near}`),
  ];
}

/** @param {number} rate */
function percent(rate) {
  return `${(100 * rate).toFixed(1)} %`;
}

/** @param {string[]} lines */
function print(...lines) {
  process.stdout.write(lines.map((line) => `${line}\n`).join(''));
}
