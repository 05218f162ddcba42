// node scripts/full-size-model.mjs OUT.gguf [--type q4_k_m|f16] [--seed N]: a model of the official checkpoints' dimensions with
// pseudo-random weights. Its words are noise; its speed, memory and responsiveness are those of a real one.
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { randomStream } from './random-stream.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
/** Bytes made at a time, about. */
const CHUNK = 4 << 20;

const { values, positionals } = parseArgs({
  options: { type: { type: 'string', default: 'q4_k_m' }, seed: { type: 'string', default: '1' } },
  allowPositionals: true,
});
const [output] = positionals;
if (
  positionals.length !== 1 ||
  output === undefined ||
  !['q4_k_m', 'f16'].includes(values.type) ||
  !/^\d{1,15}$/.test(values.seed)
) {
  process.stderr.write('usage: node scripts/full-size-model.mjs OUT.gguf [--type q4_k_m|f16] [--seed N]\n');
  process.exit(2);
}
if (!existsSync(join(root, 'dist', 'index.js'))) {
  process.stderr.write('The package must be built first: npm run build\n');
  process.exit(1);
}
const { parseConfig } = await import('../dist/convert/config.js');
const { GGML_TYPE, layOut } = await import('../dist/convert/gguf-header.js');
const { describeModel } = await import('../dist/convert/metadata.js');
const { OutputFile } = await import('../dist/convert/output-file.js');
const { chooseTypes, FILE_TYPE, storeTensors } = await import('../dist/convert/mixture.js');
const { planTensors } = await import('../dist/convert/tensors.js');
const { logitBias, makeTokenizer } = await import('./full-size-tokenizer.mjs');

/** @typedef {import('../dist/native.js').NativeTensorType} TensorType */

// What config.json leaves out has the official checkpoints' value.
const config = parseConfig({ model_type: 'xgenmm' });
const tokenizer = makeTokenizer(config.text.tokenizerLength);
const tensors = storeTensors(planTensors(config), chooseTypes(values.type), config.text.layers, false);
const metadata = describeModel(
  { name: 'full-size-random', variant: 'instruct-interleave', fileType: FILE_TYPE[values.type] },
  config,
  tokenizer,
  { maxTokens: 1024, temperature: 0, repetitionPenalty: 1 },
);
const { header, positions, size } = layOut(metadata, tensors);
const stream = randomStream(Number(values.seed));

const start = performance.now();
const file = await OutputFile.create(output);
try {
  await file.write(header, 0);
  for (const [index, tensor] of tensors.entries()) {
    let position = positions[index];
    for (const chunk of fill(tensor)) {
      await file.write(chunk, position);
      position += chunk.length;
    }
  }
  await file.commit(size);
} catch (error) {
  await file.discard();
  throw error;
}
const seconds = (performance.now() - start) / 1000;
process.stderr.write(`${file.path}: ${(size / 1e9).toFixed(2)} GB in ${seconds.toFixed(0)} s\n`);

/**
 * The bytes of a tensor: matrices and tables of mean 0 that keep the size of what they multiply, norms that change nothing.
 * @param {{ name: string, shape: number[], type: TensorType }} tensor
 * @returns {Generator<Uint8Array>}
 */
function* fill({ name, shape, type }) {
  const elements = shape.reduce((product, side) => product * side, 1);
  if (shape.length === 1) {
    const value = name.endsWith('.weight') ? 1 : 0;
    const vector = name === 'output.bias' ? tokenizer.pieces.map(logitBias) : Array(elements).fill(value);
    yield new Uint8Array(Float32Array.from(vector).buffer);
    return;
  }
  const rowLength = name === 'v.patch_embd.weight' ? shape[0] * shape[1] * shape[2] : shape[0];
  const { block, size: blockBytes } = GGML_TYPE[type];
  const most = Math.floor(CHUNK / blockBytes);
  for (let left = elements / block; left > 0; left -= most) {
    const bytes = stream.update(new Uint8Array(Math.min(left, most) * blockBytes));
    scale(bytes, type, 1 / Math.sqrt(rowLength));
    yield bytes;
  }
}

/**
 * Makes random bytes a tensor's values: everything in a block is random already but its size.
 * @param {Buffer} bytes
 * @param {TensorType} type
 * @param {number} deviation Standard deviation of the values.
 */
function scale(bytes, type, deviation) {
  /** Values are of either sign, and 1 to 2 times 2 ** exponent: their standard deviation is 1.53 times that. */
  const exponent = Math.round(Math.log2(deviation / 1.53));
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, Math.floor(bytes.length / 4));
  const { size: step } = GGML_TYPE[type];
  /** @param {number} at @param {number} value */
  const put = (at, value) => {
    const half = toHalf(value);
    for (let i = at; i < bytes.length; i += step) bytes.writeUInt16LE(half, i);
  };
  switch (type) {
    case 'f32':
      for (let i = 0; i < words.length; i++) words[i] = (words[i] & 0x807fffff) | ((127 + exponent) << 23);
      break;
    case 'f16': // two in a word
      for (let i = 0; i < words.length; i++) {
        words[i] = (words[i] & 0x83ff83ff) | ((15 + exponent) * 0x04000400);
      }
      break;
    // For the others: the deviation of a block of random bits with d = 1 and, where there is one, a minimum that makes the mean 0.
    case 'q8_0':
      put(0, deviation / 74);
      break;
    case 'q4_K':
      put(0, deviation / 258);
      put(2, (7.5 * deviation) / 258);
      break;
    case 'q6_K':
      put(208, deviation / 1365);
  }
}

/**
 * The bits of a positive f16 below 1.
 * @param {number} value
 */
function toHalf(value) {
  const exponent = Math.max(Math.floor(Math.log2(value)), -14);
  const fraction = Math.round(value * 2 ** (10 - exponent));
  // With the leading bit, which is 0 in a subnormal number and 1 above.
  return ((exponent + 14) << 10) + fraction;
}
