// node scripts/quantize-speed.mjs [MODEL.gguf] [--type q4_k_m] [--runs 3]: time and memory of `xgen-mm quantize` and of llama.cpp's
// llama-quantize for the same plain phi3 file, in turns, with a thread for each processor. Without a model it makes one of phi-3-mini's
// size, 7.6 GB, in build/llama.cpp, and keeps it. Exits with 1 if the files differ or ours takes longer. Wants a machine that does nothing
// else. Needs `npm run build`, and once `node scripts/llama-cpp.mjs`.
import { spawn } from 'node:child_process';
import { createReadStream, existsSync } from 'node:fs';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { availableParallelism, cpus } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { TEXT_TYPES } from '../dist/convert/mixture.js';
import { compareTensors } from './compare-tensors.mjs';
import { percentile } from './event-loop-lag.mjs';
import { LLAMA_CPP_FOLDER, llamaCppTool } from './llama-cpp.mjs';
import { readMemory } from './process-memory.mjs';
import { writeRandomPhi3 } from './random-phi3.mjs';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
/** How often a program's memory is looked at, in ms. */
const PERIOD = 50;

const { values, positionals } = parseArgs({
  options: { type: { type: 'string', default: 'q4_k_m' }, runs: { type: 'string', default: '3' } },
  allowPositionals: true,
});
const { type } = values;
const runs = Number(values.runs);
if (positionals.length > 1 || !TEXT_TYPES.some((known) => known === type) || !(runs >= 1)) {
  process.stderr.write('usage: node scripts/quantize-speed.mjs [MODEL.gguf] [--type q4_k_m] [--runs 3]\n');
  process.exit(2);
}
const tool = llamaCppTool('llama-quantize');
const threads = availableParallelism();

/**
 * `resident`, `own`: bytes at most, with and without the pages of mapped files; NaN where the system does not tell.
 * @typedef {{ seconds: number, resident: number, own: number }} Cost
 */

const source = positionals[0] ?? (await makeModel());
const folder = await mkdtemp(join(LLAMA_CPP_FOLDER, 'speed-'));
const [ours, theirs] = ['ours.gguf', 'theirs.gguf'].map((name) => join(folder, name));
const programs = [
  () =>
    measure(process.execPath, [join(ROOT, 'dist', 'cli', 'main.js'), 'quantize', source, ours, '-t', type]),
  () => measure(tool, [source, theirs, type, `${threads}`]),
];
/** @type {Cost[][]} Of both programs, run by run. */
const costs = [[], []];
let differences;
try {
  print(`${cpus()[0]?.model}, ${threads} threads, ${source} to ${type}`);
  // Both find it in the page cache.
  for await (const _ of createReadStream(source, { highWaterMark: 16 << 20 }));
  for (let round = 0; round < runs; round++) {
    // Whoever comes second may find the processor warm.
    for (const index of round % 2 === 0 ? [0, 1] : [1, 0]) {
      const cost = await programs[index]();
      costs[index].push(cost);
      await flush([ours, theirs][index]);
      print(`  ${['xgen-mm', 'llama-quantize'][index].padEnd(16)}${describe(cost)}`);
    }
    differences ??= (await compareTensors(ours, theirs)).differences;
    await Promise.all([ours, theirs].map((path) => rm(path)));
  }
} finally {
  await rm(folder, { recursive: true });
}

const [seconds, theirSeconds] = costs.map((list) => list.map((cost) => cost.seconds));
const ratios = seconds.map((value, round) => value / theirSeconds[round]);
print(`\n${'least, median, most'.padStart(56)}`);
print(`  ${'xgen-mm, seconds'.padEnd(32)}${spread(seconds, 1)}`);
print(`  ${'llama-quantize, seconds'.padEnd(32)}${spread(theirSeconds, 1)}`);
print(`  ${'ratio'.padEnd(32)}${spread(ratios, 3)}`);
print(differences?.length ? `The files differ: ${differences[0]}` : 'The files hold the same tensors.');
process.exitCode = differences?.length || percentile(ratios, 0.5) > 1 ? 1 : 0;

async function makeModel() {
  const path = join(LLAMA_CPP_FOLDER, 'phi3-full-f16.gguf');
  if (!existsSync(path)) {
    print(`Making ${path}`);
    await writeRandomPhi3(path, { size: 'full', type: 'f16', seed: 1 });
  }
  return path;
}

/**
 * Runs a program to its end.
 * @param {string} command
 * @param {string[]} args
 * @returns {Promise<Cost>}
 */
function measure(command, args) {
  return new Promise((resolve, reject) => {
    const start = performance.now();
    const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    let resident = Number.NaN;
    let own = Number.NaN;
    const look = setInterval(() => {
      const memory = readMemory(child.pid);
      if (memory === undefined) return;
      resident = memory.most;
      own = Number.isNaN(own) ? memory.anonymous : Math.max(own, memory.anonymous);
    }, PERIOD);
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text) => {
      said = (said + text).slice(-4000);
    });
    child.on('error', reject);
    child.on('close', (code) => {
      clearInterval(look);
      if (code === 0) resolve({ seconds: (performance.now() - start) / 1000, resident, own });
      else reject(new Error(`${command} ended with ${code}: ${said}`));
    });
  });
}

/**
 * Waits until a file is on the disk: its writing must not slow down what is measured next.
 * @param {string} path
 */
async function flush(path) {
  const file = await open(path, 'r+');
  await file.sync().finally(() => file.close());
}

/** @param {Cost} cost */
function describe({ seconds, resident, own }) {
  const gigabytes = (/** @type {number} */ bytes) => `${(bytes / 1e9).toFixed(2)} GB`;
  return `${seconds.toFixed(1)} s, resident ${gigabytes(resident)}, ${gigabytes(own)} without mapped files`;
}

/**
 * @param {number[]} numbers
 * @param {number} digits
 */
function spread(numbers, digits) {
  const three = [Math.min(...numbers), percentile(numbers, 0.5), Math.max(...numbers)];
  return three.map((number) => number.toFixed(digits).padStart(8)).join('');
}

/** @param {string} line */
function print(line) {
  process.stderr.write(`${line}\n`);
}
