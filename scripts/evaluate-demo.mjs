// node scripts/evaluate-demo.mjs [FOLDER] [--model FILE] [--wrong] [--json]: how well a model answers about the scenes in a folder, the demo's
// model about those of the tests unless told otherwise, as a table on stdout; --wrong lists the wrong answers. The exit code is 1 when a
// bar is missed, 2 when that cannot be said. The package must be built first.
import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const USAGE = 'usage: node scripts/evaluate-demo.mjs [FOLDER] [--model FILE] [--wrong] [--json]\n';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
if (!existsSync(join(root, 'dist', 'index.js'))) {
  process.stderr.write('The package must be built first: npm run build\n');
  process.exit(2);
}
const { describeFailure } = await import('../dist/cli/failure.js');
const { readScenes } = await import('../dist/cli/scene.js');
const { StageBar } = await import('../dist/cli/stage-bar.js');
const { formatTable } = await import('../dist/cli/table.js');
const { visible, visibleJson } = await import('../dist/cli/visible.js');
const { measureImage } = await import('../dist/image.js');
const { loadModel, XgenmmError } = await import('../dist/index.js');
const { askScenes, scoreAnswers } = await import('./demo-score.mjs');

/**
 * @typedef {import('../dist/cli/scene.js').Scene} Scene
 * @typedef {import('./demo-score.mjs').GivenAnswer} GivenAnswer
 * @typedef {import('./demo-score.mjs').Score} Score
 */

process.stdout.on('error', (cause) => {
  fail(new XgenmmError('ERR_XGENMM_WRITE_FAILED', `Could not write the scores: ${cause.message}`));
});
// Nobody hears what went wrong; the exit code tells all the same.
process.stderr.on('error', () => {});

const { values, positionals } = parseFlags();
if (values.help) {
  process.stdout.write(USAGE);
} else {
  try {
    await evaluate(positionals[0] ?? join(root, 'test', 'fixtures', 'demo-scenes'));
  } catch (error) {
    fail(error);
  }
}

function parseFlags() {
  try {
    const flags = parseArgs({
      options: {
        model: { type: 'string', default: 'demo' },
        wrong: { type: 'boolean' },
        json: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
      allowPositionals: true,
    });
    if (flags.positionals.length <= 1) return flags;
  } catch {
    // What there is says enough about what there is not.
  }
  process.stderr.write(USAGE);
  process.exit(2);
}

/**
 * Says on stderr what went wrong. Only once: what cannot be written fails again and again.
 *
 * @param {unknown} error
 */
function fail(error) {
  if (process.exitCode !== 2) process.stderr.write(describeFailure(error));
  process.exitCode = 2;
}

/** @param {string} folder */
async function evaluate(folder) {
  const scenes = await readScenes(folder);
  // What is missing is said before the first of hundreds of questions.
  for (const picture of scenes.flatMap(({ pictures }) => pictures)) await measureImage(picture, {});
  const answers = await ask(scenes);
  const scores = scoreAnswers(answers);
  const missed = scores.filter(({ ok }) => !ok).map(({ shows }) => shows);
  const wrong = answers.filter(({ right }) => !right);
  if (values.json) {
    const listed = wrong.map((answer) => ({ ...answer, tokens: [...answer.tokens] }));
    print(visibleJson({ scores, missed, wrong: listed }));
  } else {
    print(...tableOf(scores));
    if (values.wrong) print(...wrong.flatMap(describeWrong));
    print('', missed.length === 0 ? 'Every bar is reached.' : `Missed: ${missed.join(', ')}`);
  }
  if (missed.length > 0) process.exitCode ??= 1;
}

/**
 * @param {readonly Scene[]} scenes
 * @returns {Promise<GivenAnswer[]>}
 */
async function ask(scenes) {
  const model = await loadModel(values.model);
  const bar = new StageBar();
  try {
    return await askScenes(model, scenes, (fraction) => bar.show('Asking', fraction));
  } finally {
    bar.clear();
    await model.dispose();
  }
}

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
