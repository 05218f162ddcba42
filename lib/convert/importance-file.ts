import { type FileHandle, open } from 'node:fs/promises';
import { loadAddon } from '../addon.js';
import { translated } from '../engine.js';
import { XgenmmError } from '../errors.js';
import type { NativeImportance, NativeListing } from '../native.js';
import { layOut, type TensorInfo, type Value } from './gguf-header.js';
import type { OutputFile } from './output-file.js';

/** llama.cpp's names: what a file is, and the two tensors of each weight. */
const KIND_KEY = 'general.type';
const KIND = 'imatrix';
const SUMS = '.in_sum2';
const COUNTS = '.counts';

/** Many times what the largest language model that is run here needs. */
const MAX_BYTES = 2 ** 28;
/** Far above what meets the weights of any model: the search adds up products of these in f32, squared. */
const MAX_MEAN = 1e12;
/** GGUF's number of the type of a string. */
const STRING_TYPE = 8;

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
  const { metadata, tensors } = translated(() => loadAddon().listFile(path));
  const file = await open(path).catch((cause) => {
    throw new XgenmmError(
      'ERR_XGENMM_FILE_NOT_FOUND',
      `Expected a readable importance file at ${path}, received ${cause.code ?? cause.message}`,
      { cause },
    );
  });
  try {
    await checkKind(file, path, metadata);
    const bytes = tensors.reduce((sum, tensor) => sum + tensor.bytes, 0);
    if (bytes > MAX_BYTES) throw invalid(path, `at most ${MAX_BYTES} bytes of tensors`, `${bytes}`);
    return await readEntries(file, path, tensors);
  } finally {
    await file.close();
  }
}

async function checkKind(file: FileHandle, path: string, metadata: NativeListing['metadata']): Promise<void> {
  const expected = Buffer.concat([lengthPrefixed(KIND_KEY), typeNumber(STRING_TYPE), lengthPrefixed(KIND)]);
  const entry = metadata.find(({ key }) => key === KIND_KEY);
  const sameLength = entry !== undefined && entry.end - entry.begin === expected.length;
  const received = sameLength ? await readBytes(file, path, entry.begin, expected.length) : Buffer.alloc(0);
  if (received.equals(expected)) return;
  throw invalid(
    path,
    `${KIND_KEY} = ${KIND}`,
    'another kind of file: make one with `xgen-mm imatrix` or llama-imatrix',
  );
}

async function readEntries(
  file: FileHandle,
  path: string,
  tensors: NativeListing['tensors'],
): Promise<Map<string, Float32Array>> {
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  const entries = new Map<string, Float32Array>();
  for (const sums of tensors) {
    if (!sums.name.endsWith(SUMS)) continue;
    const weight = sums.name.slice(0, -SUMS.length);
    const counts = byName.get(`${weight}${COUNTS}`);
    if (counts === undefined) throw invalid(path, `${weight}${COUNTS} beside ${sums.name}`, 'none');
    const count = readCount(path, counts.name, await readFloats(file, path, counts));
    const means = (await readFloats(file, path, sums)).map((sum) => sum / Math.max(count, 1));
    const fault = means.findIndex((mean) => !(mean >= 0 && mean <= MAX_MEAN));
    if (fault !== -1) {
      const expected = `sums of squares of activations in ${sums.name}`;
      throw invalid(path, expected, `${means[fault]} for each row of column ${fault}`);
    }
    if (count > 0) entries.set(weight, means);
  }
  if (entries.size === 0) {
    throw invalid(path, `tensors whose names end in ${SUMS}`, 'none that something was summed up for');
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
  file: FileHandle,
  path: string,
  { name, type, position, bytes }: NativeListing['tensors'][number],
): Promise<Float32Array> {
  if (type !== 'f32') throw invalid(path, `f32 values in ${name}`, type);
  const data = await readBytes(file, path, position, bytes);
  return new Float32Array(data.buffer, data.byteOffset, bytes / Float32Array.BYTES_PER_ELEMENT);
}

async function readBytes(file: FileHandle, path: string, position: number, length: number): Promise<Buffer> {
  // Not from Node's pool, whose slices begin anywhere.
  const bytes = Buffer.from(new ArrayBuffer(length));
  for (let done = 0; done < length; ) {
    const { bytesRead } = await file.read(bytes, done, length - done, position + done);
    if (bytesRead === 0)
      throw invalid(path, `${length} bytes at ${position}`, `${done}: it was cut off meanwhile`);
    done += bytesRead;
  }
  return bytes;
}

function lengthPrefixed(text: string): Buffer {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(Buffer.byteLength(text)));
  return Buffer.concat([length, Buffer.from(text)]);
}

function typeNumber(type: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(type);
  return bytes;
}

function invalid(path: string, expected: string, received: string): XgenmmError {
  return new XgenmmError(
    'ERR_XGENMM_MODEL_INVALID',
    `Expected ${expected} in the importance file ${path}, received ${received}`,
  );
}
