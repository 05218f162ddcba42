import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { arch, availableParallelism, cpus, loadavg, platform, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import { loadAddon } from '../../dist/addon.js';
import { percentile } from '../event-loop-lag.mjs';
import { Engine } from './engine.mjs';
import { LlamaBench } from './llama-bench.mjs';
import { buildMachinePeaks } from './machine-peaks.mjs';
import { fullSizeModel, readThrough } from './models.mjs';
import { resultLines } from './result-lines.mjs';
import { Rounds } from './rounds.mjs';
import { Torch } from './torch.mjs';
import { Weights } from './weights.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** The sections that read a text alone. */
const TEXT_SECTIONS = ['first-token', 'prefill', 'decode'];

/**
 * @typedef {import('./arguments.mjs').BenchOptions & { threads: number }} BenchOptions
 * @typedef {import('./machine-peaks.mjs').Peak} Peak
 */

/**
 * Measures what the options ask for, and writes it to stdout; progress goes to stderr.
 * @param {import('./arguments.mjs').BenchOptions} wanted
 * @param {AbortSignal} signal
 */
export async function bench(wanted, signal) {
  const options = { ...wanted, threads: wanted.threads ?? loadAddon().systemInfo().defaultThreads };
  // First of all what takes no time to find missing.
  const { torch, llama } = await findPeers(options, signal);
  const measures = options.sections.some((section) => section !== 'peaks');
  const model =
    options.model ?? (measures ? await fullSizeModel(options.type, false, say, signal) : undefined);
  const peaksProgram = options.sections.includes('peaks') ? buildMachinePeaks() : undefined;
  const weights = model === undefined ? undefined : new Weights(model);
  const difference = llama && weights?.textDifference(new Weights(llama.model));
  if (difference !== undefined) {
    throw new Error(
      `Expected the same shapes and types in ${llama?.model} as in ${model}, received others for ${difference}`,
    );
  }
  for (const path of [model, llama?.model]) if (path !== undefined) await readThrough(path, signal);

  const head = describeRun(options, model, torch, llama);
  const engine = new Engine(model ?? '', options.threads);
  const rounds = new Rounds(options, { engine, weights, llama, torch, peaksProgram }, say, signal);
  await rounds.run();

  const results = rounds.results.summarize(medianPeaks(rounds.peaks));
  const output = options.json
    ? JSON.stringify({ ...head, results }, undefined, 2)
    : [...headLines(head), ...resultLines(results)].join('\n');
  process.stdout.write(`${output}\n`);
}

/** @param {BenchOptions} options @param {AbortSignal} signal */
async function findPeers(options, signal) {
  const { threads, type, sections } = options;
  const torch = options.torch === undefined ? undefined : await Torch.find(options.torch, threads, signal);
  if (options.llamaBench === undefined || !sections.some((section) => TEXT_SECTIONS.includes(section))) {
    return { torch, llama: undefined };
  }
  const llama = await LlamaBench.find(options.llamaBench, options.llamaModel ?? '', threads, signal);
  llama.model ||= await fullSizeModel(type, true, say, signal);
  return { torch, llama };
}

/**
 * @param {BenchOptions} options
 * @param {string | undefined} model
 * @param {Torch | undefined} torch
 * @param {LlamaBench | undefined} llama
 */
function describeRun(options, model, torch, llama) {
  const { version } = JSON.parse(readFileSync(`${ROOT}/package.json`, 'utf8'));
  const { stdout, status } = spawnSync('git', ['rev-parse', '--short', 'HEAD'], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  return {
    date: new Date().toISOString(),
    command: ['npm run bench --', ...process.argv.slice(2)].join(' '),
    machine: {
      cpu: cpus()[0]?.model,
      processors: availableParallelism(),
      memory: totalmem(),
      platform: platform(),
      arch: arch(),
      node: process.version,
      /** Processes that wanted to run in the last minute, before this began. */
      load: loadavg()[0],
    },
    versions: {
      'xgen-mm': `${version}${status === 0 ? ` (${stdout.trim()})` : ''}`,
      ...(llama ? { 'llama.cpp': llama.version } : {}),
      ...(torch ? { PyTorch: torch.version } : {}),
    },
    model,
    type: options.model === undefined ? options.type : undefined,
    threads: options.threads,
    rounds: options.rounds,
  };
}

/** @param {ReturnType<typeof describeRun>} head */
function headLines({ date, command, machine, versions, model, threads, rounds }) {
  const { cpu, processors, memory, platform, arch, node, load } = machine;
  return [
    `${date.slice(0, 10)}: ${command}`,
    `${cpu}, ${processors} processors, ${(memory / 1e9).toFixed(0)} GB, ${platform} ${arch}, Node.js ${node}, load ${load.toFixed(1)}`,
    Object.entries(versions)
      .map(([name, version]) => `${name} ${version}`)
      .join(', '),
    `${model ?? 'no model'}, ${threads} threads, ${rounds} rounds`,
  ];
}

/**
 * @param {Peak[][]} rounds
 * @returns {Peak[]}
 */
function medianPeaks(rounds) {
  const [first = []] = rounds;
  return first.map((peak, index) => {
    const values = rounds.map((peaks) => peaks[index].value ?? Number.NaN);
    return { ...peak, value: peak.value === null ? null : percentile(values, 0.5) };
  });
}

/** @param {string} line */
function say(line) {
  process.stderr.write(`${line}\n`);
}
