import { open } from 'node:fs/promises';
import { loadAddon } from '../addon.js';
import { translated } from '../engine.js';
import { XgenmmError } from '../errors.js';
import type { NativeImportance } from '../native.js';
import type { NativeListing } from '../native-file.js';
import { describe } from '../options.js';
import { layOut, type TensorInfo, type Value } from './gguf-header.js';
import { type InputFile, readFully } from './input-file.js';
import type { OutputFile } from './output-file.js';
import { StoredMetadata } from './stored-metadata.js';

/** llama.cpp's names: what a file is, and the two tensors of each weight. */
const KIND_KEY = 'general.type';
const KIND = 'imatrix';
const SUMS = '.in_sum2';
const COUNTS = '.counts';

/** Many times what the largest language model that is run here needs. */
const MAX_BYTES = 2 ** 28;
/** Far above what meets the weights of any model: the search adds up products of these in f32, squared. */
const MAX_MEAN = 1e12;

/** What an importance file says about its own making. */
export interface ImportanceOrigin {
  /** Names of the files that the model read. */
  datasets: string[];
  /** Passages and pictures, and the positions that one has at most. */
  chunkCount: number;
  chunkSize: number;
}

/**
 * Writes llama.cpp's imatrix format: `<tensor>.in_sum2`, the sums of squares per column, and `<tensor>.counts`, how many rows were summed
 * up, in the order of their names. Weights that nothing has met are left out. Throws ERR_XGENMM_WRITE_FAILED.
 */
export async function writeImportance(
  file: OutputFile,
  entries: readonly NativeImportance[],
  { datasets, chunkCount, chunkSize }: ImportanceOrigin,
): Promise<void> {
  const metadata = new Map<string, Value>([
    [KIND_KEY, { type: 'string', value: KIND }],
    ['imatrix.datasets', { type: 'array', of: 'string', value: datasets }],
    ['imatrix.chunk_count', { type: 'u32', value: chunkCount }],
    ['imatrix.chunk_size', { type: 'u32', value: chunkSize }],
  ]);
  const contents = entries
    .filter(({ count }) => count > 0)
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap(({ name, sums, count }) => [
      { name: `${name}${SUMS}`, values: sums },
      { name: `${name}${COUNTS}`, values: Float32Array.of(count) },
    ]);
  const tensors = contents.map(
    ({ name, values }): TensorInfo => ({ name, shape: [values.length], type: 'f32' }),
  );
  const { header, positions, size } = layOut(metadata, tensors);
  await file.write(header, 0);
  for (const [index, { values }] of contents.entries()) {
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    await file.write(bytes, positions[index] as number);
  }
  await file.commit(size);
}

/**
 * The mean squares of what meets each column of a weight, by the weight's name, from a file of {@link writeImportance} or of llama.cpp's
 * llama-imatrix. Weights that nothing has met are left out. Rejects with ERR_XGENMM_FILE_NOT_FOUND or ERR_XGENMM_MODEL_INVALID.
 */
export async function readImportance(path: string): Promise<Map<string, Float32Array>> {
  const listing = translated(() => loadAddon().listFile(path));
  const file = await open(path).catch((cause) => {
    throw new XgenmmError(
      'ERR_XGENMM_FILE_NOT_FOUND',
      `Expected a readable importance file at ${path}, received ${cause.code ?? cause.message}`,
      { cause },
    );
  });
  const input = { name: path, file };
  try {
    const kind = (await StoredMetadata.read(input, listing)).text(KIND_KEY);
    if (kind !== KIND) {
      const received = kind === undefined ? 'no such key' : describe(kind);
      throw invalid(
        path,
        `${KIND_KEY} = ${KIND}`,
        `${received}: make one with \`xgen-mm imatrix\` or llama-imatrix`,
      );
    }
    const bytes = listing.tensors.reduce((sum, tensor) => sum + tensor.bytes, 0);
    if (bytes > MAX_BYTES) throw invalid(path, `at most ${MAX_BYTES} bytes of tensors`, `${bytes}`);
    return await readEntries(input, listing.tensors);
  } finally {
    await file.close();
  }
}

async function readEntries(
  input: InputFile,
  tensors: NativeListing['tensors'],
): Promise<Map<string, Float32Array>> {
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  const entries = new Map<string, Float32Array>();
  for (const sums of tensors) {
    if (!sums.name.endsWith(SUMS)) continue;
    const weight = sums.name.slice(0, -SUMS.length);
    const counts = byName.get(`${weight}${COUNTS}`);
    if (counts === undefined) throw invalid(input.name, `${weight}${COUNTS} beside ${sums.name}`, 'none');
    const count = readCount(input.name, counts.name, await readFloats(input, counts));
    const means = (await readFloats(input, sums)).map((sum) => sum / Math.max(count, 1));
    const fault = means.findIndex((mean) => !(mean >= 0 && mean <= MAX_MEAN));
    if (fault !== -1) {
      const expected = `sums of squares of activations in ${sums.name}`;
      throw invalid(input.name, expected, `${means[fault]} for each row of column ${fault}`);
    }
    // Zeros alone tell no column from another, and the search cannot work with them.
    if (count > 0 && means.some((mean) => mean > 0)) entries.set(weight, means);
  }
  if (entries.size === 0) {
    throw invalid(input.name, `tensors whose names end in ${SUMS}`, 'none that something was summed up for');
  }
  return entries;
}

/** One count: weights of experts, which have one each, are not in the models that are run here. */
function readCount(path: string, name: string, values: Float32Array): number {
  const [count] = values;
  if (count === undefined || values.length !== 1)
    throw invalid(path, `one count in ${name}`, `${values.length}`);
  if (!Number.isInteger(count) || count < 0) throw invalid(path, `a number of rows in ${name}`, `${count}`);
  return count;
}

async function readFloats(
  input: InputFile,
  { name, type, position, bytes }: NativeListing['tensors'][number],
): Promise<Float32Array> {
  if (type !== 'f32') throw invalid(input.name, `f32 values in ${name}`, type);
  const values = new Float32Array(bytes / Float32Array.BYTES_PER_ELEMENT);
  await readFully(input, new Uint8Array(values.buffer), position);
  return values;
}

function invalid(path: string, expected: string, received: string): XgenmmError {
  return new XgenmmError(
    'ERR_XGENMM_MODEL_INVALID',
    `Expected ${expected} in the importance file ${path}, received ${received}`,
  );
}
