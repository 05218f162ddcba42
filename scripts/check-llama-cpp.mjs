// node scripts/check-llama-cpp.mjs [--threads N]: whether a plain phi3 file with random weights and the real vocabulary comes out of our
// quantiser and llama.cpp's with the same bytes, and gives the same next-token distributions in both engines. Exits with 1 if not.
// Needs `npm run build` and `node scripts/llama-cpp.mjs` once.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { loadModel } from '../dist/index.js';
import { llamaCppTool } from './llama-cpp.mjs';
import { writeRandomPhi3 } from './random-phi3.mjs';
import { ResultTable } from './result-table.mjs';

/** Of the distributions after each token of a prompt, in nats. */
const MEAN_DIVERGENCE = 1e-4;
const FILES = /** @type {const} */ (['f16', 'q8_0', 'q4_k_m']);
const PROMPT = `The lighthouse keeper wrote in her book every evening, even when nothing had happened. On the 14th of March she noted a
north-easterly wind of 23 knots, two ships with the same name, and a gull that would not leave the lamp room. "It looks at me as if I owed
it money," she added, and drew a small picture in the margin. The next morning the gull was still there. She gave it bread, then fish, then
half of a cheese that her brother had sent from Zürich; it ate everything and stayed. By April it had learned the times of the supply boat.
By May it met the boat at the pier, walked in front of the sailors (who found this very funny) and counted the boxes — or so it seemed, for
it cried once for each. When a box was missing the keeper knew before she had read the list. She wrote to the harbour office: "Please send
the bird's wages with the next boat: 1 kg of herring per month." The office answered that only people who had signed form B-7 could be
paid. So she pressed the gull's foot into ink, put it on form B-7, and posted it. Nobody in the office could say later who had stamped the
paper, but from June on a tin arrived with every boat, addressed to "G. Larus, assistant keeper, third class". In winter, when fog lay on
the rocks for 11 days and the horn had frozen, it was the assistant keeper who`;

const { values } = parseArgs({ options: { threads: { type: 'string' } } });
const threads = Number(values.threads ?? availableParallelism());
const logitsTool = llamaCppTool('llama-logits');
const quantizeTool = llamaCppTool('llama-quantize');
if (logitsTool === undefined || quantizeTool === undefined) {
  process.stderr.write('llama.cpp must be built first: node scripts/llama-cpp.mjs\n');
  process.exit(1);
}

const folder = mkdtempSync(join(tmpdir(), 'xgen-mm-'));
const table = new ResultTable('Plain phi3 with random weights, here and in llama.cpp');
try {
  const source = join(folder, 'f16.gguf');
  await writeRandomPhi3(source, { size: 'small', type: 'f16', seed: 1 });
  for (const type of FILES) {
    const file = join(folder, `${type}.gguf`);
    if (type !== 'f16') run(quantizeTool, [source, file, type, String(threads)]);
    await compareDistributions(type, file);
  }
} finally {
  rmSync(folder, { recursive: true });
}
table.print(table.missed === 0 ? 'Both do the same.' : `Bounds missed: ${table.missed}.`);
process.exitCode = table.missed === 0 ? 0 : 1;

/**
 * @param {string} type
 * @param {string} file
 */
async function compareDistributions(type, file) {
  const theirs = theirLogits(file);
  const model = await loadModel(file, { threads });
  const ours = await model.logits(PROMPT).finally(() => model.dispose());
  const differing = theirs.tokens.findIndex((token, i) => token !== ours.tokens[i]);
  if (differing >= 0 || ours.tokens.length !== theirs.tokens.length) {
    table.add(`${type}: mean KL divergence`, Number.NaN, 'nats', MEAN_DIVERGENCE, 'other tokens');
    return;
  }
  const { vocabSize } = ours;
  let sum = 0;
  let largest = 0;
  let entropies = 0;
  let agreed = 0;
  for (let i = 0; i < ours.tokens.length; i++) {
    const p = logSoftmax(theirs.logits.subarray(i * vocabSize, (i + 1) * vocabSize));
    const q = logSoftmax(ours.logits.subarray(i * vocabSize, (i + 1) * vocabSize));
    let divergence = 0;
    for (let token = 0; token < vocabSize; token++) {
      divergence += Math.exp(p[token]) * (p[token] - q[token]);
      entropies -= Math.exp(p[token]) * p[token];
    }
    sum += divergence;
    largest = Math.max(largest, divergence);
    if (likeliest(p) === likeliest(q)) agreed++;
  }
  const positions = ours.tokens.length;
  const detail = `largest ${largest.toExponential(1)}; same likeliest token at ${agreed} of ${positions} positions; entropy ${entropies / positions}`;
  table.add(`${type}: mean KL divergence`, sum / positions, 'nats', MEAN_DIVERGENCE, detail);
}

/**
 * @param {string} file
 */
function theirLogits(file) {
  const prompt = join(folder, 'prompt.txt');
  const output = join(folder, 'logits');
  writeFileSync(prompt, PROMPT);
  run(logitsTool, [file, prompt, output, String(threads)]);
  const { buffer } = new Uint8Array(readFileSync(output));
  const [positions] = new Int32Array(buffer, 0, 1);
  return {
    tokens: new Int32Array(buffer, 8, positions),
    logits: new Float32Array(buffer, 8 + 4 * positions),
  };
}

/** @param {Float32Array} logits */
function logSoftmax(logits) {
  const largest = logits.reduce((a, b) => Math.max(a, b));
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - largest);
  const offset = largest + Math.log(sum);
  return Float64Array.from(logits, (logit) => logit - offset);
}

/** @param {Float64Array} distribution */
function likeliest(distribution) {
  return distribution.indexOf(distribution.reduce((a, b) => Math.max(a, b)));
}

/**
 * @param {string} tool
 * @param {string[]} args
 */
function run(tool, args) {
  const { status, stderr } = spawnSync(tool, args, { encoding: 'utf8', maxBuffer: 1 << 26 });
  if (status !== 0) throw new Error(`${tool} failed: ${stderr}`);
}
