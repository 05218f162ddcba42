// node scripts/full-size-checkpoint.mjs OUT_DIR [--seed N]: a checkpoint of the official dimensions in the official layout (bf16, sharded,
// 8.7 GB) with pseudo-random weights that are distributed as trained ones are, nearly: for converting, quantising and comparing at size.
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { normalQuantiles } from './normal-quantiles.mjs';
import { randomStream } from './random-stream.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
/** Bytes made at a time. */
const CHUNK = 8 << 20;
/** Bytes of tensors in a file, at most. */
const SHARD = 5e9;
const VARIANT = 'instruct-interleave';

const { values, positionals } = parseArgs({
  options: { seed: { type: 'string', default: '1' } },
  allowPositionals: true,
});
const [folder] = positionals;
if (positionals.length !== 1 || folder === undefined || !/^\d{1,15}$/.test(values.seed)) {
  process.stderr.write('usage: node scripts/full-size-checkpoint.mjs OUT_DIR [--seed N]\n');
  process.exit(2);
}
if (!existsSync(join(root, 'dist', 'index.js'))) {
  process.stderr.write('The package must be built first: npm run build\n');
  process.exit(1);
}
const { parseConfig } = await import('../dist/convert/config.js');
const { OutputFile } = await import('../dist/convert/output-file.js');
const { planTensors } = await import('../dist/convert/tensors.js');
const { describeFiles, logitBias, makeTokenizer } = await import('./full-size-tokenizer.mjs');

/** @typedef {{ name: string, shape: number[], bytes: number }} Tensor */

// What config.json leaves out has the official checkpoints' value.
const json = {
  _name_or_path: `full-size-random-${VARIANT}`,
  architectures: ['XGenMMModelForConditionalGeneration'],
};
const config = parseConfig({ ...json, model_type: 'xgenmm' });
const tokenizer = makeTokenizer(config.text.tokenizerLength);
const normal = normalQuantiles(2 ** 16);
const stream = randomStream(Number(values.seed));
const zeros = new Uint8Array(CHUNK);

const start = performance.now();
await mkdir(folder, { recursive: true });
const tensors = listTensors();
const shards = divide(tensors);
/** @type {Record<string, string>} */
const map = {};
for (const [index, shard] of shards.entries()) {
  const number = (/** @type {number} */ n) => `${n}`.padStart(5, '0');
  const name = `model-${number(index + 1)}-of-${number(shards.length)}.safetensors`;
  for (const tensor of shard) map[tensor.name] = name;
  await writeShard(join(folder, name), shard);
}
const size = sum(tensors);
const files = {
  ...describeFiles(tokenizer),
  'config.json': { ...json, model_type: 'xgenmm', torch_dtype: 'bfloat16' },
  'generation_config.json': { _from_model_config: true, bos_token_id: 1, eos_token_id: tokenizer.eosId },
  'model.safetensors.index.json': { metadata: { total_size: size }, weight_map: map },
};
for (const [name, contents] of Object.entries(files)) {
  const isPlain = typeof contents === 'string' || contents instanceof Uint8Array;
  await writeFile(join(folder, name), isPlain ? contents : `${JSON.stringify(contents, undefined, 1)}\n`);
}
const seconds = (performance.now() - start) / 1000;
process.stderr.write(
  `${folder}: ${tensors.length} tensors, ${(size / 1e9).toFixed(2)} GB in ${shards.length} files, in ${seconds.toFixed(0)} s\n`,
);

/** What the converter reads, and the pooling head, which it leaves out. */
function listTensors() {
  const { width, mlpWidth } = config.vision;
  const head = 'vlm.vision_encoder.head';
  /** @type {[string, number[]][]} */
  const unused = [
    [`${head}.probe`, [1, 1, width]],
    [`${head}.attention.in_proj_weight`, [3 * width, width]],
    [`${head}.attention.in_proj_bias`, [3 * width]],
    [`${head}.attention.out_proj.weight`, [width, width]],
    [`${head}.attention.out_proj.bias`, [width]],
    [`${head}.layernorm.weight`, [width]],
    [`${head}.layernorm.bias`, [width]],
    [`${head}.mlp.fc1.weight`, [mlpWidth, width]],
    [`${head}.mlp.fc1.bias`, [mlpWidth]],
    [`${head}.mlp.fc2.weight`, [width, mlpWidth]],
    [`${head}.mlp.fc2.bias`, [width]],
  ];
  const used = planTensors(config).flatMap((plan) => plan.sources);
  const all = [...used, ...unused.map(([name, shape]) => ({ name, shape }))];
  return all.map(({ name, shape }) => ({
    name,
    shape,
    bytes: 2 * shape.reduce((product, side) => product * side, 1),
  }));
}

/** @param {Tensor[]} tensors */
function divide(tensors) {
  const shards = [[tensors[0]]];
  for (const tensor of tensors.slice(1)) {
    const shard = shards[shards.length - 1];
    if (sum(shard) + tensor.bytes > SHARD) shards.push([tensor]);
    else shard.push(tensor);
  }
  return shards;
}

/** @param {string} path @param {Tensor[]} shard */
async function writeShard(path, shard) {
  /** @type {Record<string, unknown>} */
  const header = { __metadata__: { format: 'pt' } };
  let end = 0;
  for (const { name, shape, bytes } of shard) {
    header[name] = { dtype: 'BF16', shape, data_offsets: [end, end + bytes] };
    end += bytes;
  }
  const text = JSON.stringify(header);
  const prefix = Buffer.alloc(8 + Math.ceil(text.length / 8) * 8, ' ');
  prefix.writeBigUInt64LE(BigInt(prefix.length - 8));
  prefix.write(text, 8);

  const file = await OutputFile.create(path);
  try {
    await file.write(prefix, 0);
    let position = prefix.length;
    for (const tensor of shard) {
      for (const chunk of fill(tensor)) {
        await file.write(chunk, position);
        position += chunk.length;
      }
    }
    await file.commit(position);
  } catch (error) {
    await file.discard();
    throw error;
  }
}

/**
 * The bytes of a tensor: matrices and tables of mean 0 that keep the size of what they multiply, norms that change nothing.
 * @param {Tensor} tensor
 * @returns {Generator<Uint8Array>}
 */
function* fill({ name, shape, bytes }) {
  if (shape.length === 1) {
    yield encode(makeVector(name, shape[0]));
    return;
  }
  const deviation = 1 / Math.sqrt(shape.slice(1).reduce((product, side) => product * side, 1));
  const table = toBf16(normal.map((value) => value * deviation));
  for (let left = bytes; left > 0; left -= CHUNK) {
    // Random bits, two bytes of which choose a quantile.
    const chunk = stream.update(zeros.subarray(0, Math.min(left, CHUNK)));
    const halves = new Uint16Array(chunk.buffer, chunk.byteOffset, chunk.length / 2);
    for (let i = 0; i < halves.length; i++) halves[i] = table[halves[i]];
    yield chunk;
  }
}

/** @param {string} name @param {number} length */
function makeVector(name, length) {
  if (name.endsWith('lm_head.bias')) {
    const biases = tokenizer.pieces.slice(0, config.text.tokenizerLength).map(logitBias);
    return Float32Array.from({ length }, (_, id) => biases[id] ?? 0);
  }
  if (name.endsWith('additional_fc.bias'))
    return Float32Array.from(tokenizer.pieces.slice(-length).map(logitBias));
  return new Float32Array(length).fill(name.endsWith('.weight') ? 1 : 0);
}

/** @param {Float32Array} values */
function encode(values) {
  return new Uint8Array(toBf16(values).buffer);
}

/** @param {Float32Array} values */
function toBf16(values) {
  const bits = new Uint32Array(values.buffer);
  return Uint16Array.from(bits, (word) => (word + 0x8000) >>> 16);
}

/** @param {Tensor[]} tensors */
function sum(tensors) {
  return tensors.reduce((bytes, tensor) => bytes + tensor.bytes, 0);
}
