// node scripts/random-phi3.mjs OUT.gguf [--size small|full] [--type f16|bf16] [--seed N]: a plain phi3 file, which llama.cpp reads too,
// with phi-3-mini's real vocabulary and normally distributed random weights. `full` has phi-3-mini's own dimensions.
import { createCipheriv } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { narrowToBf16, narrowToF16 } from '../dist/convert/float16.js';
import { layOut } from '../dist/convert/gguf-header.js';
import { OutputFile } from '../dist/convert/output-file.js';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const VOCABULARY = join(ROOT, 'test', 'fixtures', 'phi3-vocab', 'phi-3.gguf');
/** Heads are as wide as phi-3-mini's, and every row is whole blocks of every type. */
const SIZES = {
  small: { layers: 8, width: 768, heads: 8, mlpWidth: 2048 },
  full: { layers: 32, width: 3072, heads: 32, mlpWidth: 8192 },
};
const VOCABULARY_SIZE = 32_064;
/** llama.cpp's numbers for what most tensors are stored in. */
const FILE_TYPE = { f16: 1, bf16: 32 };
/** Values made at a time. */
const CHUNK = 2 << 20;
/** Distributed normally: Box and Muller's transform of every pair of 256 x 256 even steps. A weight is one of these. */
const NORMAL = Float32Array.from({ length: 2 ** 16 }, (_, i) => {
  const [first, second] = [(i >> 8) + 0.5, (i & 255) + 0.5].map((step) => step / 256);
  return Math.sqrt(-2 * Math.log(first)) * Math.cos(2 * Math.PI * second);
});

/**
 * @typedef {import('../dist/convert/gguf-header.js').Value} Value
 * @typedef {{ name: string, shape: number[], type: 'f32' | 'f16' | 'bf16', mean: number, deviation: number }} RandomTensor
 */

/**
 * Writes such a file; the same seed gives the same bytes.
 * @param {string} output
 * @param {{ size: keyof typeof SIZES, type: keyof typeof FILE_TYPE, seed: number }} options
 */
export async function writeRandomPhi3(output, { size, type, seed }) {
  const dimensions = SIZES[size];
  const metadata = readMetadata(readFileSync(VOCABULARY));
  describe(metadata, dimensions);
  metadata.set('general.file_type', { type: 'u32', value: FILE_TYPE[type] });
  const tensors = planTensors(dimensions, type);
  const layout = layOut(metadata, tensors);
  const key = Buffer.from(String(seed).padStart(16, '0'), 'latin1');
  const random = createCipheriv('aes-128-ctr', key, Buffer.alloc(16));
  const file = await OutputFile.create(output);
  try {
    await file.write(layout.header, 0);
    for (const [index, tensor] of tensors.entries()) {
      let position = layout.positions[index];
      for (const chunk of draw(tensor, random)) {
        await file.write(chunk, position);
        position += chunk.length;
      }
    }
    await file.commit(layout.size);
  } catch (error) {
    await file.discard();
    throw error;
  }
}

/**
 * @param {Map<string, Value>} metadata
 * @param {typeof SIZES['full']} dimensions
 */
function describe(metadata, { layers, width, heads, mlpWidth }) {
  const numbers = {
    embedding_length: width,
    block_count: layers,
    feed_forward_length: mlpWidth,
    'attention.head_count': heads,
    'attention.head_count_kv': heads,
    'rope.dimension_count': width / heads,
  };
  for (const [name, value] of Object.entries(numbers)) metadata.set(`phi3.${name}`, { type: 'u32', value });
  metadata.set('general.name', { type: 'string', value: 'random phi3' });
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
 * @param {RandomTensor} tensor
 * @param {import('node:crypto').Cipher} random
 * @returns {Generator<Uint8Array>}
 */
function* draw({ shape, type, mean, deviation }, random) {
  const table = asStored(
    NORMAL.map((value) => mean + deviation * value),
    type,
  );
  const elements = shape.reduce((product, side) => product * side, 1);
  for (let done = 0; done < elements; done += CHUNK) {
    const picks = random.update(new Uint8Array(2 * Math.min(CHUNK, elements - done)));
    const indices = new Uint16Array(new Uint8Array(picks).buffer);
    const values = type === 'f32' ? new Uint32Array(indices.length) : new Uint16Array(indices.length);
    for (let i = 0; i < indices.length; i++) values[i] = table[indices[i]];
    yield new Uint8Array(values.buffer);
  }
}

/**
 * The bit patterns of numbers in a type.
 * @param {Float32Array} numbers
 * @param {'f32' | 'f16' | 'bf16'} type
 */
function asStored(numbers, type) {
  const bits = new Uint32Array(numbers.buffer);
  if (type === 'f32') return bits;
  const narrow = new Uint16Array(bits.length);
  (type === 'f16' ? narrowToF16 : narrowToBf16)(bits, narrow);
  return narrow;
}

/**
 * Every key of a file that holds no more than keys.
 * @param {Buffer} bytes
 * @returns {Map<string, Value>}
 */
function readMetadata(bytes) {
  let position = 16;
  const take = (/** @type {number} */ size) => {
    position += size;
    return position - size;
  };
  const count = () => Number(bytes.readBigUInt64LE(take(8)));
  const text = () => {
    const length = count();
    return bytes.toString('utf8', take(length), position);
  };
  /** @type {Record<number, [string, () => unknown]>} By GGUF's numbers of the types. */
  const readers = {
    4: ['u32', () => bytes.readUInt32LE(take(4))],
    5: ['i32', () => bytes.readInt32LE(take(4))],
    6: ['f32', () => bytes.readFloatLE(take(4))],
    7: ['bool', () => bytes[take(1)] !== 0],
    8: ['string', text],
  };
  const metadata = new Map();
  for (let left = count(); left > 0; left--) {
    const key = text();
    const type = bytes.readUInt32LE(take(4));
    const isArray = type === 9;
    const [of, read] = readers[isArray ? bytes.readUInt32LE(take(4)) : type];
    const value = isArray ? Array.from({ length: count() }, read) : read();
    metadata.set(key, isArray ? { type: 'array', of, value } : { type: of, value });
  }
  return metadata;
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
  if (positionals.length !== 1 || !(size in SIZES) || !(type in FILE_TYPE) || !/^\d{1,15}$/.test(seed)) {
    process.stderr.write(
      'usage: node scripts/random-phi3.mjs OUT.gguf [--size small|full] [--type f16|bf16] [--seed N]\n',
    );
    process.exit(2);
  }
  await writeRandomPhi3(output, { size, type, seed: Number(seed) });
}
