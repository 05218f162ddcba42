// What the benchmark measures of this package, in a process of its own: node engine-program.mjs JOB.json-text prints JSON. Each job has a
// fresh model, so nothing is cached and memory is that of one model.
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { loadModel } from '../../dist/index.js';
import { distinctWords, forcing } from './passage.mjs';
import { textOfTokens } from './prompt-text.mjs';

/** Tokens of the question about the photograph. */
const QUESTION = 32;
const PICTURE = fileURLToPath(new URL('../../examples/pictures/street.jpg', import.meta.url));

/**
 * `lengths`: of prompts; `depths`: positions before the tokens; `tokens`: how many are timed at each.
 * @typedef {{ name: 'photograph' } | { name: 'prefill', lengths: number[] } | { name: 'decode', depths: number[], tokens: number }
 *   | { name: 'speculation', tokens: number, without: boolean } | { name: 'together', answers: number, depth: number, tokens: number }} Job
 * @typedef {{ job: Job, model: string, threads: number }} Order
 * @typedef {import('../../dist/index.js').Model} Model
 */

const { job, model: file, threads } = /** @type {Order} */ (JSON.parse(process.argv[2] ?? ''));
// An answer of random weights may go round in circles, which no peer would profit from.
if (job.name === 'decode' || (job.name === 'speculation' && job.without)) {
  process.env.XGENMM_WITHOUT = `${process.env.XGENMM_WITHOUT ?? ''},speculation`;
}
const before = performance.now();
const model = await loadModel(file, {
  device: 'cpu',
  threads,
  ...(job.name === 'together' ? { maxSequences: job.answers } : {}),
});
const load = performance.now() - before;
try {
  // The first pass over the weights maps their pages, which a program pays once.
  await warmUp();
  const result = await measure();
  const { kvType, imageMode } = model.info;
  // In KiB, whatever the system.
  const peak = 1024 * process.resourceUsage().maxRSS;
  process.stdout.write(JSON.stringify({ load, peak, kvType, pictures: imageMode !== undefined, ...result }));
} finally {
  await model.dispose();
}

function measure() {
  switch (job.name) {
    case 'photograph':
      return askAboutPhotograph();
    case 'prefill':
      return readPrompts(job.lengths);
    case 'decode':
      return makeTokens(job.depths, job.tokens);
    case 'speculation':
      return repeatPrompts(job.tokens);
    case 'together':
      return answerTogether(job.answers, job.depth, job.tokens);
  }
}

async function warmUp() {
  const picture = {
    data: new Uint8Array(3 * 64 * 64),
    width: 64,
    height: 64,
    channels: /** @type {const} */ (3),
  };
  const needsPicture = job.name === 'photograph' && model.info.imageMode !== undefined;
  const image = needsPicture ? [{ image: picture, mode: /** @type {const} */ ('squash') }] : [];
  await model.complete([...image, 'z'], { maxTokens: 2, minTokens: 2 });
}

/** The time to the first token, and what it is spent on. */
async function askAboutPhotograph() {
  const question = textOfTokens(model, QUESTION, 'What');
  const image = await sharp(PICTURE).resize(1024, 768).jpeg({ quality: 90 }).toBuffer();
  const content = model.info.imageMode === undefined ? question : [{ image }, question];
  const start = performance.now();
  const { timings, usage } = await model.complete(content, { maxTokens: 1, minTokens: 1 });
  const firstToken = performance.now() - start;
  const tiles = await countTiles(usage.imageTokens);
  return { firstToken, timings, tiles, positions: usage.promptTokens - usage.cachedTokens };
}

/**
 * A picture of one tile says how many positions a tile has.
 * @param {number} imageTokens
 */
async function countTiles(imageTokens) {
  if (imageTokens === 0) return 0;
  const image = { data: new Uint8Array(3), width: 1, height: 1, channels: /** @type {const} */ (3) };
  return imageTokens / (await model.countTokens([{ image, mode: 'squash' }]));
}

/** @param {number[]} lengths */
async function readPrompts(lengths) {
  const prompts = [];
  for (const length of lengths.filter((wanted) => wanted < model.info.contextSize)) {
    // Another first word each: no prompt begins with what another has left in the cache.
    const text = textOfTokens(model, length, `${length}`);
    const { timings, usage } = await model.complete(text, { maxTokens: 1, minTokens: 1 });
    prompts.push({ length, rate: rate(usage.promptTokens - usage.cachedTokens, timings.prefill) });
  }
  return { prompts };
}

/**
 * @param {number[]} depths
 * @param {number} tokens
 */
async function makeTokens(depths, tokens) {
  const answers = [];
  for (const depth of depths.filter((wanted) => wanted + tokens + 1 < model.info.contextSize)) {
    const text = textOfTokens(model, Math.max(1, depth), 'The');
    // The first token comes with the prompt.
    const maxTokens = tokens + 1;
    const { timings, usage } = await model.complete(text, { maxTokens, minTokens: maxTokens });
    answers.push({ depth, rate: rate(usage.completionTokens - 1, timings.generate) });
  }
  return { answers };
}

/**
 * An answer that copies its prompt, and one that only seems to: any two of its words stand in the prompt, but with another behind them.
 * @param {number} tokens
 */
async function repeatPrompts(tokens) {
  const words = distinctWords(model, tokens + 1);
  const spell = (/** @type {{ text: string }[]} */ list) => list.map(({ text }) => text).join('');
  const pairs = words.slice(1).flatMap((word, index) => [words[index], word, words[0]]);
  const options = { ...forcing(words), maxTokens: words.length, minTokens: words.length };
  const answers = [];
  for (const [kind, prompt] of /** @type {const} */ ([
    ['seems to copy', `Words:${spell(pairs)}`],
    ['copies', `The text:${spell(words)} and again`],
  ])) {
    const { text, timings, usage } = await model.complete(prompt, options);
    if (text.trim() !== spell(words).trim()) throw new Error(`Expected${spell(words)}, received ${text}`);
    answers.push({ kind, rate: rate(usage.completionTokens - 1, timings.generate) });
  }
  return { answers };
}

/**
 * Tokens in a second of one answer, and of several together, whose prompts have been read. They are drawn, for greedy answers of random weights
 * may go round in circles, which speculation makes fast.
 * @param {number} answers
 * @param {number} depth
 * @param {number} tokens
 */
async function answerTogether(answers, depth, tokens) {
  const prompts = Array.from({ length: answers }, (_, k) => textOfTokens(model, depth, `${k}`));
  const ask = (/** @type {string} */ prompt, count = tokens) =>
    model.complete(prompt, { maxTokens: count, minTokens: count, temperature: 1, seed: 1 });
  for (const prompt of prompts) await ask(prompt, 1);
  const measure = async (/** @type {string[]} */ asked) => {
    const start = performance.now();
    const all = await Promise.all(asked.map((prompt) => ask(prompt)));
    const count = all.reduce((sum, { usage }) => sum + usage.completionTokens, 0);
    return rate(count, performance.now() - start);
  };
  // The other way round the answer alone would take one of the prompts' places in the cache.
  const together = await measure(prompts);
  return { alone: await measure(prompts.slice(0, 1)), together };
}

/** @param {number} count @param {number} ms */
function rate(count, ms) {
  return (1000 * count) / ms;
}
