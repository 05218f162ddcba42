// node scripts/check-llama-cpp.mjs [--threads N]: whether a plain phi3 file with random weights and the real vocabulary comes out of our
// quantiser and of llama.cpp's with the same bytes, and gives the same next-token distributions in both engines. Exits with 1 if not.
// Needs `npm run build`, and once `node scripts/llama-cpp.mjs`.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { DivergenceTally } from '../dist/compare/divergence.js';
import { compareRows } from '../dist/compare/statistics.js';
import { quantize } from '../dist/convert/quantize.js';
import { loadModel } from '../dist/index.js';
import { compareTensors } from './compare-tensors.mjs';
import { llamaCppTool } from './llama-cpp.mjs';
import { writeRandomPhi3 } from './random-phi3.mjs';
import { ResultTable } from './result-table.mjs';

const CLI = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const QUANTIZED = /** @type {const} */ (['q8_0', 'q6_k', 'q5_k_m', 'q4_k_m', 'q4_0', 'iq4_nl']);
/**
 * Mean KL divergence of the distributions after each token of a prompt, in nats, at most. Where weights are quantised both round what
 * meets them to eight bits: a difference in the last place can make it the next step, and then another.
 * @type {Record<string, number>}
 */
const MEAN_DIVERGENCE = { f16: 1e-6, q8_0: 1e-4, q4_k_m: 1e-4 };
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

const { values } = parseArgs({
  options: { threads: { type: 'string', default: `${availableParallelism()}` } },
});
const threads = Number(values.threads);
if (!Number.isInteger(threads) || threads < 1) {
  process.stderr.write('usage: node scripts/check-llama-cpp.mjs [--threads N]\n');
  process.exit(2);
}
const quantizer = llamaCppTool('llama-quantize');
const runner = llamaCppTool('llama-logits');

/** @typedef {{ tokens: Int32Array, logits: Float32Array }} Run */

const folder = mkdtempSync(join(tmpdir(), 'xgen-mm-'));
const prompt = join(folder, 'prompt.txt');
const table = new ResultTable('A plain phi3 model with random weights, here and in llama.cpp');
try {
  writeFileSync(prompt, PROMPT);
  const source = join(folder, 'f16.gguf');
  await writeRandomPhi3(source, { size: 'small', type: 'f16', seed: 1 });
  await compareDistributions('f16', source);
  const importance = join(folder, 'importance.gguf');
  run(process.execPath, [CLI, 'imatrix', source, importance, '--text', prompt, '--threads', `${threads}`]);
  for (const type of QUANTIZED) {
    const file = await compareQuantized(type, source);
    if (type in MEAN_DIVERGENCE) await compareDistributions(type, file);
    if (type !== 'q8_0') await compareQuantized(type, source, importance);
  }
} finally {
  rmSync(folder, { recursive: true });
}
table.print(table.missed === 0 ? 'Both do the same.' : `Bounds missed: ${table.missed}.`);
process.exitCode = table.missed === 0 ? 0 : 1;

/**
 * Returns llama.cpp's file, which the next call replaces.
 * @param {typeof QUANTIZED[number]} type
 * @param {string} source
 * @param {string} [imatrix]
 */
async function compareQuantized(type, source, imatrix) {
  const ours = join(folder, 'ours.gguf');
  const theirs = join(folder, 'theirs.gguf');
  await quantize(source, ours, { type, imatrix });
  const options = imatrix === undefined ? [] : ['--imatrix', imatrix];
  if (imatrix !== undefined && type === 'q4_0') {
    // For the first of these llama.cpp would take q4_1, which we do not write; it would then take the next one for the first.
    for (const rule of ['blk.0.ffn_down=q5_K', 'blk.[1-9].ffn_down=q4_0'])
      options.push('--tensor-type', rule);
  }
  run(quantizer, [...options, source, theirs, type, `${threads}`]);
  const { count, differences } = await compareTensors(ours, theirs);
  const name = `${type}: tensors that differ${imatrix === undefined ? '' : ', with an importance matrix'}`;
  table.add(name, differences.length, '', 0, differences[0] ?? `of ${count}`);
  return theirs;
}

/**
 * @param {string} type
 * @param {string} file
 */
async function compareDistributions(type, file) {
  const theirs = runLlamaCpp(file);
  report(`${type}: mean KL divergence`, theirs, await runOurs(file), MEAN_DIVERGENCE[type]);
  // For comparison: what the order of sums does.
  const otherwise = runLlamaCpp(file, '--no-flash-attention');
  report(`${type}: the same, llama.cpp without flash attention`, theirs, otherwise);
}

/**
 * @param {string} name
 * @param {Run} theirs
 * @param {Run} other
 * @param {number} [limit]
 */
function report(name, theirs, other, limit) {
  const positions = theirs.tokens.length;
  if (!Buffer.from(theirs.tokens.buffer).equals(Buffer.from(other.tokens.buffer))) {
    table.add(name, Number.NaN, 'nats', limit, 'the prompt became other tokens');
    return;
  }
  const width = theirs.logits.length / positions;
  const tally = new DivergenceTally();
  for (let i = 0; i < positions; i++) {
    const rows = [theirs, other].map(({ logits }) => logits.subarray(i * width, (i + 1) * width));
    tally.add(i, compareRows(rows[0], rows[1]));
  }
  const { mean, percentile99, sameTop } = DivergenceTally.summarise(tally);
  const agreement = `same likeliest token at ${(100 * sameTop).toFixed(1)} % of ${positions} positions`;
  table.add(name, mean, 'nats', limit, `99 %: ${percentile99.toExponential(1)}, ${agreement}`);
}

/**
 * @param {string} file
 * @returns {Promise<Run>}
 */
async function runOurs(file) {
  const model = await loadModel(file, { device: 'cpu', threads });
  return model.logits(PROMPT).finally(() => model.dispose());
}

/**
 * @param {string} file
 * @param {string[]} options
 * @returns {Run}
 */
function runLlamaCpp(file, ...options) {
  const output = join(folder, 'logits');
  run(runner, [file, prompt, output, `${threads}`, ...options]);
  const { buffer } = new Uint8Array(readFileSync(output));
  const [positions] = new Int32Array(buffer, 0, 1);
  const tokens = new Int32Array(buffer.slice(8, 8 + 4 * positions));
  return { tokens, logits: new Float32Array(buffer, 8 + 4 * positions) };
}

/**
 * @param {string} tool
 * @param {string[]} args
 */
function run(tool, args) {
  const { status, error, stderr } = spawnSync(tool, args, { encoding: 'utf8', maxBuffer: 1 << 26 });
  if (status !== 0) throw new Error(`${tool} failed: ${error?.message ?? stderr}`);
}
