// node scripts/responsiveness.mjs MODEL.gguf [--json] [--only load,lag,…]: whether Node.js stays responsive while a full-size model
// works, and whether the model answers in time. Exits with 1 if a bound is missed. Wants a machine that does nothing else.
import { availableParallelism, cpus } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import sharp from 'sharp';
import { loadModel } from '../dist/index.js';
import { measureLag, percentile } from './event-loop-lag.mjs';
import { ResultTable } from './result-table.mjs';

const LAG_MS = 20;
const GAP_MS = 500;
const ABORT_MS = 500;
/** The official checkpoints': rows of a tile in a prompt, layers of the tower. */
const LATENTS = 128;
const LAYERS = 27;
const SECTIONS = { load, lag, turns, decodes, gaps, aborts };

/**
 * @typedef {import('../dist/index.js').Model} Model
 */

const { values, positionals } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    only: { type: 'string', default: Object.keys(SECTIONS).join() },
  },
  allowPositionals: true,
});
const [file] = positionals;
const chosen = values.only.split(',');
if (positionals.length !== 1 || file === undefined || !chosen.every((name) => name in SECTIONS)) {
  const names = Object.keys(SECTIONS).join();
  process.stderr.write(`usage: node scripts/responsiveness.mjs MODEL.gguf [--json] [--only ${names}]\n`);
  process.exit(2);
}

let prompts = 0;
const photograph = await makePicture(6000, 4000);
const smallPicture = await makePicture(1024, 768);

const machine = { cpu: cpus()[0]?.model, processors: availableParallelism(), node: process.version };
const table = new ResultTable(`${machine.cpu}, ${machine.processors} processors, Node.js ${machine.node}`);
for (const [name, section] of Object.entries(SECTIONS)) {
  if (!chosen.includes(name)) continue;
  table.print(`\n${name}`);
  await section();
}
table.print(`\n${table.missed === 0 ? 'All bounds were kept.' : `Bounds missed: ${table.missed}.`}`);
if (values.json) {
  process.stdout.write(`${JSON.stringify({ machine, model: file, results: table.results }, undefined, 2)}\n`);
}
process.exitCode = table.missed === 0 ? 0 : 1;

async function load() {
  /** @type {{ fraction: number, at: number }[]} */
  const steps = [];
  const start = performance.now();
  const onProgress = (/** @type {number} */ fraction) => steps.push({ fraction, at: performance.now() });
  /** @type {Model | undefined} */
  let model;
  await reportLag('loading', async () => {
    model = await loadModel(file, { onProgress });
  });
  table.add('loading takes', performance.now() - start, 'ms');
  const gaps = steps.slice(1).map(({ fraction, at }, i) => ({ fraction, ms: at - steps[i].at }));
  const longest = gaps.reduce((a, b) => (b.ms > a.ms ? b : a));
  table.add(`longest time between steps (until ${longest.fraction.toFixed(2)})`, longest.ms, 'ms');
  const end = performance.now();
  await model?.dispose();
  table.add('disposing takes', performance.now() - end, 'ms');

  // A step may come with others in one hop: the abort is then late, never early.
  const probed = steps.filter((_, i) => i % Math.ceil(steps.length / 12) === 0 || i === steps.length - 1);
  for (const { fraction } of probed) {
    const controller = new AbortController();
    let aborted = 0;
    const loading = loadModel(file, {
      signal: controller.signal,
      onProgress: (now) => {
        if (now < fraction || aborted > 0) return;
        aborted = performance.now();
        controller.abort();
      },
    });
    await answered(`abort while loading, at ${fraction.toFixed(2)}`, loading, () => aborted);
  }
}

async function lag() {
  await withModel(async (model) => {
    await reportLag('encodeImage, JPEG of 24 megapixels', () => model.encodeImage(photograph));
    await reportLag('encodeImage, JPEG of 1024 x 768', () => model.encodeImage(smallPicture));
    const raw = await makeRaw(photograph);
    await reportLag('first 2 s of encodeImage, raw 24 megapixels', () =>
      model.encodeImage(raw, { mode: 'pad', signal: AbortSignal.timeout(2000) }).catch(() => {}),
    );
    const prompt = makePrompt(model, 700);
    await reportLag('prefill of 700 positions, 24 tokens', () => model.complete(prompt, { maxTokens: 24 }));
  });
}

async function turns() {
  await withModel(async (model) => {
    const chat = model.chat();
    const first = await chat.ask([{ image: smallPicture }, 'what is this'], { maxTokens: 8 });
    const { timings, usage } = first;
    for (const [stage, ms] of Object.entries(timings)) table.add(`first turn, ${stage}`, ms, 'ms');
    const tiles = usage.imageTokens / LATENTS;
    table.add('first turn, one tile in one layer of the tower', timings.vision / tiles / LAYERS, 'ms');
    table.add('first turn, one tile in the resampler', timings.resample / tiles, 'ms');
    table.add('first turn, prefill per position', timings.prefill / usage.promptTokens, 'ms');

    const second = await chat.ask('and in one word', { maxTokens: 8 });
    table.add('second turn, vision', second.timings.vision, 'ms', 0);
    const { promptTokens, cachedTokens } = second.usage;
    // The last token of an answer was chosen but not computed.
    const fresh = promptTokens - usage.promptTokens - usage.completionTokens + 1;
    table.add('second turn, positions computed', promptTokens - cachedTokens, '', fresh);
    table.add('second turn, prefill', second.timings.prefill, 'ms');

    const other = await model.chat().ask([{ image: smallPicture }, 'who made this'], { maxTokens: 2 });
    table.add('same picture in another chat, vision', other.timings.vision, 'ms', 0);
  });
}

async function decodes() {
  const jpeg = await makePicture(4000, 3000);
  const decodeFour = async () => {
    const start = performance.now();
    await Promise.all(Array.from({ length: 4 }, () => sharp(jpeg).raw().toBuffer()));
    return performance.now() - start;
  };
  const alone = await decodeFour();
  table.add('four decodes of 4000 x 3000 alone', alone, 'ms');
  // As many requests as libuv has workers: would one hold a worker, nobody could decode before it has ended.
  const raws = await Promise.all(
    Array.from({ length: 4 }, async () => makeRaw(await makePicture(1024, 768))),
  );
  await withModel(async (model) => {
    const works = {
      'four pictures are encoded': (/** @type {AbortSignal} */ signal) =>
        raws.map((raw) => model.encodeImage(raw, { signal })),
      'four answers are generated': (/** @type {AbortSignal} */ signal) =>
        raws.map((_, i) => model.complete(`${i} words`, { maxTokens: 2000, signal })),
    };
    for (const [name, begin] of Object.entries(works)) {
      const controller = new AbortController();
      let ended = 0;
      const open = begin(controller.signal).map((work) => work.catch(() => {}).then(() => ended++));
      await sleep(3000);
      const time = await decodeFour();
      table.add(
        `the same while ${name}`,
        time,
        'ms',
        undefined,
        `${(time / alone).toFixed(1)} times as long`,
      );
      table.add('  requests that had ended by then', ended, '', 0);
      controller.abort();
      await Promise.all(open);
    }
  });
}

async function gaps() {
  const raw = await makeRaw(await makePicture(1024, 768));
  await withModel(async (model) => {
    const controller = new AbortController();
    const stream = model.chat().stream('tell me something', { maxTokens: 3900, signal: controller.signal });
    /** @type {number[]} */
    const times = [];
    let ended = false;
    const reading = (async () => {
      for await (const _ of stream) times.push(performance.now());
    })()
      .catch(() => {})
      .finally(() => {
        ended = true;
      });
    const pieces = async (/** @type {number} */ count) => {
      while (times.length < count) {
        if (ended) throw new Error('the stream ended before what should run beside it');
        await sleep(5);
      }
    };
    /** @type {(name: string, limit: number | undefined, work: () => Promise<unknown>) => Promise<void>} */
    const during = async (name, limit, work) => {
      const begin = times.length;
      await work();
      // The gap that was open when the work ended belongs to it.
      await pieces(times.length + 1);
      const found = times.slice(begin - 1).flatMap((time, i, all) => (i > 0 ? [time - all[i - 1]] : []));
      const [p50, p95, most] = [0.5, 0.95, 1].map((share) => percentile(found, share));
      const detail = `p50 ${p50.toFixed(0)}, max ${most.toFixed(0)}, ${found.length} gaps`;
      table.add(`gaps between pieces ${name}, p95`, p95, 'ms', limit, detail);
    };
    await pieces(2);
    await during('alone', undefined, () => pieces(times.length + 10));
    await during('while a picture is encoded', GAP_MS, () => model.encodeImage(raw));
    const prompt = makePrompt(model, 700);
    await during('while 700 positions are read', GAP_MS, () => model.complete(prompt, { maxTokens: 1 }));
    controller.abort();
    await reading;
  });
}

async function aborts() {
  const decoding = performance.now();
  const large = await makeRaw(photograph);
  const decodeMs = performance.now() - decoding;
  table.add('decoding the 24-megapixel JPEG', decodeMs, 'ms');
  const small = await makeRaw(smallPicture);
  await withModel(async (model) => {
    /** @type {(name: string, delays: number[], work: (signal: AbortSignal) => Promise<unknown>) => Promise<void>} */
    const abortAfter = async (name, delays, work) => {
      for (const delay of delays) {
        const controller = new AbortController();
        const request = work(controller.signal);
        let aborted = 0;
        sleep(delay).then(() => {
          aborted = performance.now();
          controller.abort();
        });
        await answered(`abort ${name}, after ${delay.toFixed(0)} ms`, request, () => aborted);
        // What sharp has begun, it ends.
        await sleep(2 * decodeMs);
      }
    };
    const encode = (/** @type {import('../dist/index.js').ImageInput} */ image) => {
      return (/** @type {AbortSignal} */ signal) => model.encodeImage(image, { signal });
    };
    const read = (/** @type {AbortSignal} */ signal) =>
      model.complete(makePrompt(model, 700), { maxTokens: 1, signal });
    const write = (/** @type {AbortSignal} */ signal) => model.complete('words', { maxTokens: 2000, signal });

    await abortAfter('while decoding', [0.2 * decodeMs, 0.7 * decodeMs], encode(photograph));
    await abortAfter('while making tiles', [1, 50, 150], encode(large));
    await abortAfter('while encoding', [1000, 2300, 3700], encode(small));
    await abortAfter('while reading the prompt', [100, 600, 3000], read);
    // The prompt is cached by now: what takes time is its answer.
    await model.complete('words', { maxTokens: 1 });
    await abortAfter('while generating', [3000, 3150], write);

    const hold = new AbortController();
    const held = ['one', 'two'].map((text) =>
      model.complete(text, { maxTokens: 2000, signal: hold.signal }).catch(() => {}),
    );
    await sleep(3000);
    await abortAfter('while waiting for a slot', [300, 1000], write);
    hold.abort();
    await Promise.all(held);
  });
}

/**
 * @param {(model: Model) => Promise<void>} use
 */
async function withModel(use) {
  const model = await loadModel(file, { maxSequences: 2 });
  try {
    await use(model);
  } finally {
    await model.dispose();
  }
}

/**
 * Reports how late the event loop was while `work` ran.
 * @param {string} name
 * @param {() => Promise<unknown>} work
 */
async function reportLag(name, work) {
  for (const [probe, { p99, max, samples }] of Object.entries(await measureLag(work))) {
    table.add(`${name}: ${probe}, p99`, p99, 'ms', LAG_MS, `max ${max.toFixed(1)}, ${samples} samples`);
  }
}

/**
 * Reports the time from an abort to the rejection of what was aborted.
 * @param {string} name
 * @param {Promise<unknown>} request
 * @param {() => number} aborted When that was; 0: not yet.
 */
async function answered(name, request, aborted) {
  const outcome = await request.then(
    () => 'it had ended before',
    (error) => (error?.name === 'AbortError' ? undefined : String(error)),
  );
  const ms = aborted() === 0 ? Number.NaN : performance.now() - aborted();
  table.add(name, outcome === undefined ? ms : Number.NaN, 'ms', ABORT_MS, outcome);
}

/**
 * A prompt of at least `length` positions that shares its beginning with no other.
 * @param {Model} model
 * @param {number} length
 */
function makePrompt(model, length) {
  let text = `prompt ${prompts++}`;
  while (model.tokenize(text).length < length) text += ' and many more words that say nothing';
  return text;
}

/**
 * A JPEG that is smooth as photographs are; no two are the same.
 * @param {number} width
 * @param {number} height
 */
function makePicture(width, height) {
  const noise = { type: /** @type {const} */ ('gaussian'), mean: 128, sigma: 60 };
  const create = { width: width / 8, height: height / 8, channels: /** @type {const} */ (3), noise };
  return sharp({ create: { ...create, background: 'grey' } })
    .resize(width, height)
    .jpeg()
    .toBuffer();
}

/**
 * @param {Uint8Array} jpeg
 * @returns {Promise<import('../dist/index.js').RawImage>}
 */
async function makeRaw(jpeg) {
  const { data, info } = await sharp(jpeg).raw().toBuffer({ resolveWithObject: true });
  return { data, width: info.width, height: info.height, channels: 3 };
}
