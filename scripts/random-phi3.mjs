// node scripts/random-phi3.mjs OUT.gguf [--size small|full] [--type f16|bf16] [--seed N]: a plain phi3 file, which llama.cpp reads too,
// with phi-3-mini's real vocabulary and normally distributed random weights. `full` has phi-3-mini's own dimensions.
import { open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { loadAddon } from '../dist/addon.js';
import { layOut } from '../dist/convert/gguf-header.js';
import { FILE_TYPE } from '../dist/convert/mixture.js';
import { OutputFile } from '../dist/convert/output-file.js';
import { StoredMetadata } from '../dist/convert/stored-metadata.js';
import { normalQuantiles } from './normal-quantiles.mjs';
import { randomStream } from './random-stream.mjs';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const VOCABULARY = join(ROOT, 'test', 'fixtures', 'phi3-vocab', 'phi-3.gguf');
/** Heads are as wide as phi-3-mini's, and every row is whole blocks of every type. */
const SIZES = {
  small: { layers: 8, width: 768, heads: 8, mlpWidth: 2048 },
  full: { layers: 32, width: 3072, heads: 32, mlpWidth: 8192 },
};
const VOCABULARY_SIZE = 32_064;
const TYPES = /** @type {const} */ (['f16', 'bf16']);
/** Values made at a time. */
const CHUNK = 2 << 20;
/** A weight is one of these, chosen by two random bytes. */
const NORMAL = normalQuantiles(2 ** 16);

/**
 * @typedef {{ name: string, shape: number[], type: 'f32' | 'f16' | 'bf16', mean: number, deviation: number }} RandomTensor
 */

/**
 * Writes such a file; the same seed gives the same bytes.
 * @param {string} output
 * @param {{ size: keyof typeof SIZES, type: typeof TYPES[number], seed: number }} options
 */
export async function writeRandomPhi3(output, { size, type, seed }) {
  const dimensions = SIZES[size];
  const tensors = planTensors(dimensions, type);
  const layout = layOut(await describe(dimensions, type), tensors);
  const random = randomStream(seed);
  const quantizer = loadAddon().createQuantizer(1);
  const file = await OutputFile.create(output);
  try {
    await file.write(layout.header, 0);
    for (const [index, tensor] of tensors.entries()) {
      const table = await makeTable(tensor, quantizer);
      let position = layout.positions[index];
      for (const chunk of draw(tensor, table, random)) {
        await file.write(chunk, position);
        position += chunk.length;
      }
    }
    await file.commit(layout.size);
  } catch (error) {
    await file.discard();
    throw error;
  } finally {
    await quantizer.dispose();
  }
}

/**
 * The vocabulary's keys with other dimensions.
 * @param {typeof SIZES['full']} dimensions
 * @param {typeof TYPES[number]} type
 */
async function describe({ layers, width, heads, mlpWidth }, type) {
  const file = await open(VOCABULARY);
  const listing = loadAddon().listFile(VOCABULARY);
  const metadata = await StoredMetadata.read({ name: VOCABULARY, file }, listing).finally(() => file.close());
  const numbers = {
    'phi3.embedding_length': width,
    'phi3.block_count': layers,
    'phi3.feed_forward_length': mlpWidth,
    'phi3.attention.head_count': heads,
    'phi3.attention.head_count_kv': heads,
    'phi3.rope.dimension_count': width / heads,
    'general.file_type': FILE_TYPE[type],
  };
  for (const [key, value] of Object.entries(numbers)) metadata.set(key, { type: 'u32', value });
  metadata.set('general.name', { type: 'string', value: 'random phi3' });
  return metadata.values;
}

/**
 * Matrices keep the size of what they multiply; those that add to the stream are the smaller the more of them there are, so that it
 * keeps its size, too.
 * @param {typeof SIZES['full']} dimensions
 * @param {'f16' | 'bf16'} type
 * @returns {RandomTensor[]}
 */
function planTensors({ layers, width, mlpWidth }, type) {
  const matrix = (/** @type {string} */ name, /** @type {number[]} */ shape, size = 1) => {
    const deviation = size / Math.sqrt(shape[0]);
    return { name: `${name}.weight`, shape, type, mean: 0, deviation };
  };
  const norm = (/** @type {string} */ name) => {
    return {
      name: `${name}.weight`,
      shape: [width],
      type: /** @type {const} */ ('f32'),
      mean: 1,
      deviation: 0.1,
    };
  };
  const share = 1 / Math.sqrt(2 * layers);
  const blocks = Array.from({ length: layers }, (_, layer) => [
    norm(`blk.${layer}.attn_norm`),
    matrix(`blk.${layer}.attn_qkv`, [width, 3 * width]),
    matrix(`blk.${layer}.attn_output`, [width, width], share),
    norm(`blk.${layer}.ffn_norm`),
    matrix(`blk.${layer}.ffn_up`, [width, 2 * mlpWidth]),
    matrix(`blk.${layer}.ffn_down`, [mlpWidth, width], share),
  ]);
  const embedding = { ...matrix('token_embd', [width, VOCABULARY_SIZE]), deviation: 1 };
  return [embedding, ...blocks.flat(), norm('output_norm'), matrix('output', [width, VOCABULARY_SIZE])];
}

/**
 * The values that a tensor may have, as they are stored.
 * @param {RandomTensor} tensor
 * @param {import('../dist/native.js').NativeQuantizer} quantizer
 */
async function makeTable({ type, mean, deviation }, quantizer) {
  const values = new Uint8Array(NORMAL.map((value) => mean + deviation * value).buffer);
  if (type === 'f32') return new Uint32Array(values.buffer);
  const table = new Uint16Array(NORMAL.length);
  const target = new Uint8Array(table.buffer);
  await quantizer.quantize(values, 'f32', NORMAL.length, NORMAL.length, type, target, undefined);
  return table;
}

/**
 * The bytes of a tensor.
 * @param {RandomTensor} tensor
 * @param {Uint16Array | Uint32Array} table
 * @param {import('node:crypto').Cipher} random
 * @returns {Generator<Uint8Array>}
 */
function* draw({ shape }, table, random) {
  const elements = shape.reduce((product, side) => product * side, 1);
  for (let done = 0; done < elements; done += CHUNK) {
    const picks = random.update(new Uint8Array(2 * Math.min(CHUNK, elements - done)));
    const indices = new Uint16Array(new Uint8Array(picks).buffer);
    const values =
      table instanceof Uint32Array ? new Uint32Array(indices.length) : new Uint16Array(indices.length);
    for (let i = 0; i < indices.length; i++) values[i] = table[indices[i]];
    yield new Uint8Array(values.buffer);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values, positionals } = parseArgs({
    options: {
      size: { type: 'string', default: 'small' },
      type: { type: 'string', default: 'f16' },
      seed: { type: 'string', default: '1' },
    },
    allowPositionals: true,
  });
  const [output] = positionals;
  const { size, type, seed } = values;
  if (positionals.length !== 1 || !(size in SIZES) || !TYPES.includes(type) || !/^\d{1,15}$/.test(seed)) {
    process.stderr.write(
      'usage: node scripts/random-phi3.mjs OUT.gguf [--size small|full] [--type f16|bf16] [--seed N]\n',
    );
    process.exit(2);
  }
  await writeRandomPhi3(output, { size, type, seed: Number(seed) });
}
