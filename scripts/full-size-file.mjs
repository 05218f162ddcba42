// Model files of the official checkpoints' dimensions with pseudo-random weights. The package must be built first.
import { open } from 'node:fs/promises';
import { parseConfig } from '../dist/convert/config.js';
import { GGML_TYPE, layOut } from '../dist/convert/gguf-header.js';
import { describeModel } from '../dist/convert/metadata.js';
import { chooseTypes, FILE_TYPE, partOf, storeTensors } from '../dist/convert/mixture.js';
import { checkOutput, OutputFile } from '../dist/convert/output-file.js';
import { planTensors } from '../dist/convert/tensors.js';
import { logitBias, makeTokenizer } from './full-size-tokenizer.mjs';
import { randomStream } from './random-stream.mjs';

/** Bytes made at a time, about. */
const CHUNK = 4 << 20;
// What config.json leaves out has the official checkpoints' value.
const CONFIG = parseConfig({ model_type: 'xgenmm' });
const TOKENIZER = makeTokenizer(CONFIG.text.tokenizerLength);

/**
 * `plain`: only what llama.cpp's phi3 has; its weights are those of the whole model of the same type and seed.
 * @typedef {{ type: 'q4_k_m' | 'q8_0' | 'f16', seed: number, plain: boolean }} FullSizeOptions
 * @typedef {import('../dist/native.js').NativeTensorType} TensorType
 */

/**
 * Writes such a file; returns its size in bytes. Rejects with `signal.reason` or an XgenmmError, and leaves nothing behind then.
 * @param {string} output
 * @param {FullSizeOptions} options
 * @param {AbortSignal} [signal]
 */
export async function writeFullSize(output, options, signal) {
  const { tensors, header, positions, size } = planFile(options);
  await checkOutput(output, size);
  const stream = randomStream(options.seed);
  const file = await OutputFile.create(output);
  try {
    await file.write(header, 0);
    for (const [index, tensor] of tensors.entries()) {
      let position = positions[index];
      for (const chunk of fill(tensor, stream)) {
        signal?.throwIfAborted();
        await file.write(chunk, position);
        position += chunk.length;
      }
    }
    await file.commit(size);
  } catch (error) {
    await file.discard();
    throw error;
  }
  return size;
}

/**
 * Whether there is a file that {@link writeFullSize} would write again, as far as its size and its header tell.
 * @param {string} path
 * @param {FullSizeOptions} options
 */
export async function hasFullSize(path, options) {
  const { header, size } = planFile(options);
  const file = await open(path).catch(() => undefined);
  if (file === undefined) return false;
  try {
    const found = Buffer.alloc(header.length);
    await file.read(found, 0, found.length, 0);
    return (await file.stat()).size === size && found.equals(header);
  } finally {
    await file.close();
  }
}

/** @param {FullSizeOptions} options */
function planFile({ type, plain }) {
  const all = storeTensors(planTensors(CONFIG), chooseTypes(type), CONFIG.text.layers, false);
  const metadata = describeModel(
    { name: 'full-size-random', variant: 'instruct-interleave', fileType: FILE_TYPE[type] },
    CONFIG,
    TOKENIZER,
    { maxTokens: 1024, temperature: 0, repetitionPenalty: 1 },
  );
  if (!plain) return { tensors: all, ...layOut(metadata, all) };
  // The text comes first, and vectors draw nothing: what is left gets the same random bytes.
  const tensors = all.filter(({ name }) => partOf(name) === 'text' && name !== 'output.bias');
  const kept = [...metadata].filter(([key]) => /^(general|phi3|tokenizer\.ggml)\./.test(key));
  const plainMetadata = new Map(kept).set('general.architecture', { type: 'string', value: 'phi3' });
  return { tensors, ...layOut(plainMetadata, tensors) };
}

/**
 * The bytes of a tensor: matrices and tables of mean 0 that keep the size of what they multiply, norms that change nothing.
 * @param {{ name: string, shape: number[], type: TensorType }} tensor
 * @param {import('node:crypto').Cipher} stream
 * @returns {Generator<Uint8Array>}
 */
function* fill({ name, shape, type }, stream) {
  const elements = shape.reduce((product, side) => product * side, 1);
  if (shape.length === 1) {
    const value = name.endsWith('.weight') ? 1 : 0;
    const vector = name === 'output.bias' ? TOKENIZER.pieces.map(logitBias) : Array(elements).fill(value);
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
