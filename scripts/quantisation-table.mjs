// node scripts/quantisation-table.mjs [CHECKPOINT] [--threads N]: the tables of docs/quantisation.md as markdown on stdout. What each type costs is
// measured on the checkpoint (without one: on the `wide` model of the tests) against its own f32 file.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const { makeFixtures } = await import('./fixtures.mjs');
const { loadAddon } = await import('../dist/addon.js');
const { compare } = await import('../dist/compare/compare.js');
const { parseConfig } = await import('../dist/convert/config.js');
const { convert } = await import('../dist/convert/convert.js');
const { layOut } = await import('../dist/convert/gguf-header.js');
const { chooseTypes, partOf, storeTensors, TEXT_TYPES, VISION_TYPES } = await import(
  '../dist/convert/mixture.js'
);
const { planTensors } = await import('../dist/convert/tensors.js');

/**
 * @typedef {import('../dist/compare/compare.js').Comparison} Comparison
 * @typedef {import('../dist/convert/mixture.js').TextType} TextType
 * @typedef {import('../dist/convert/mixture.js').VisionType} VisionType
 */

const { values, positionals } = parseArgs({
  options: { threads: { type: 'string' } },
  allowPositionals: true,
});
const [checkpoint = join(root, 'build', 'fixtures', 'wide-src', 'wide')] = positionals;
const threads = values.threads === undefined ? undefined : Number(values.threads);
if (positionals.length > 1 || !(threads === undefined || (Number.isInteger(threads) && threads >= 1))) {
  process.stderr.write('usage: node scripts/quantisation-table.mjs [CHECKPOINT] [--threads N]\n');
  process.exit(2);
}
if (positionals.length === 0) await makeFixtures();

print('Sizes of the official models\n', sizeTable());
const folder = await mkdtemp(join(tmpdir(), 'xgen-mm-'));
try {
  const reference = await make('f32', 'f32');
  /** @type {string[][]} */
  const texts = [];
  for (const type of TEXT_TYPES) {
    if (type === 'f32') continue;
    const { files, divergence, perplexity } = await judge(reference, type, 'q8_0');
    const { mean, median, percentile99, sameTop } = divergence.all;
    const ratio = perplexity === undefined ? '' : percent(perplexity.b / perplexity.a - 1, 2);
    const row = [
      type,
      percent(files.b.bytes / files.a.bytes, 1),
      number(mean),
      number(median),
      number(percentile99),
    ];
    texts.push([...row, percent(sameTop, 2), ratio]);
  }
  const textHead = [
    'text',
    'size of f32',
    'mean KL',
    'median',
    '99 %',
    'same top token',
    'perplexity changes by',
  ];
  print('\nText types, with vision in q8_0\n', table([textHead, ...texts]));

  /** @type {string[][]} */
  const visions = [];
  for (const type of VISION_TYPES) {
    if (type === 'f32') continue;
    const { embeddings, divergence } = await judge(reference, 'f32', type);
    if (embeddings === undefined) throw new Error('the default samples have pictures');
    const { meanCosine, minPictureCosine, minCosine, relativeError } = embeddings;
    const cosines = [
      ...[meanCosine, minPictureCosine, minCosine].map((value) => value.toFixed(5)),
      percent(relativeError, 3),
    ];
    visions.push([type, ...cosines, number(divergence.pictures?.mean ?? Number.NaN)]);
  }
  const visionHead = ['vision', 'mean cosine', 'least picture', 'least row', 'relative error', 'mean KL'];
  print('\nVision types, with text in f32\n', table([visionHead, ...visions]));
} finally {
  await rm(folder, { recursive: true });
}

/** Sizes by text type, with the vision part in its default type and in f16. */
function sizeTable() {
  // What config.json leaves out has the official checkpoints' value.
  const config = parseConfig({ model_type: 'xgenmm' });
  const plans = planTensors(config);
  const rows = TEXT_TYPES.map((type) => {
    const whole = sizeOf(type, undefined);
    const text = sizeOf(type, undefined, 'text');
    const weights = plans
      .filter(({ name }) => partOf(name) === 'text')
      .reduce((sum, { shape }) => sum + shape.reduce((product, side) => product * side, 1), 0);
    const { vision } = chooseTypes(type);
    return [
      type,
      `${vision}`,
      gigabytes(text),
      gigabytes(whole - text),
      gigabytes(whole),
      ((8 * text) / weights).toFixed(2),
    ];
  });
  return table([['text', 'vision', 'text part', 'vision part', 'file', 'bits per text weight'], ...rows]);

  /**
   * @param {TextType} type
   * @param {VisionType | undefined} vision
   * @param {'text'} [part] All parts unless named.
   */
  function sizeOf(type, vision, part) {
    const chosen = plans.filter(({ name }) => part === undefined || partOf(name) === part);
    const types = chooseTypes(type, vision);
    return layOut(new Map(), storeTensors(chosen, types, config.text.layers, false)).size;
  }
}

/**
 * @param {TextType} type
 * @param {VisionType} vision
 */
async function make(type, vision) {
  process.stderr.write(`converting: text ${type}, vision ${vision}\n`);
  const path = join(folder, `${type}-${vision}.gguf`);
  await convert(checkpoint, path, { type, vision, variant: 'instruct-interleave' });
  return path;
}

/**
 * @param {string} reference
 * @param {TextType} type
 * @param {VisionType} vision
 * @returns {Promise<Comparison>}
 */
async function judge(reference, type, vision) {
  const path = await make(type, vision);
  const { signal } = new AbortController();
  const options = { threads, signal, onProgress: () => {}, onNote: () => {} };
  const comparison = await compare(loadAddon(), reference, path, options);
  await rm(path);
  return comparison;
}

/** @param {string[][]} rows The first is the head; columns but the first are flush right. */
function table(rows) {
  const lines = rows.map((cells) => `| ${cells.join(' | ')} |`);
  const rule = `|${rows[0]?.map((_, i) => (i === 0 ? '---' : '---:')).join('|')}|`;
  return [lines[0], rule, ...lines.slice(1)].join('\n');
}

/** @param {number} value */
function number(value) {
  return value === 0
    ? '0'
    : value >= 0.001 && value < 1000
      ? `${Number(value.toPrecision(3))}`
      : value.toExponential(1);
}

/**
 * @param {number} fraction
 * @param {number} digits
 */
function percent(fraction, digits) {
  return `${(100 * fraction).toFixed(digits)} %`;
}

/** @param {number} bytes */
function gigabytes(bytes) {
  return `${(bytes / 1e9).toFixed(2)} GB`;
}

/**
 * @param {string} title
 * @param {string} text
 */
function print(title, text) {
  process.stdout.write(`${title}\n${text}\n`);
}
