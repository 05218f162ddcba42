import { readdir, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { layOut } from '../../lib/convert/gguf-header.js';
import { readImportance, writeImportance } from '../../lib/convert/importance-file.js';
import { OutputFile } from '../../lib/convert/output-file.js';
import type { ErrorCode } from '../../lib/errors.js';
import type { NativeImportance } from '../../lib/native.js';
import { failure } from '../failure.js';
import { GgufFile, type GgufTensor, numberBytes, stringBytes, VALUE_TYPES } from '../gguf-file.js';
import { temporaryFolder } from './checkpoint.js';
import { readGguf } from './gguf-reader.js';

const ENTRIES: NativeImportance[] = [
  { name: 'blk.1.ffn_down.weight', sums: Float32Array.of(1, 2, 3, 4), count: 4 },
  { name: 'blk.0.attn_qkv.weight', sums: Float32Array.of(0, 9), count: 3 },
  { name: 'v.blk.0.ffn_up.weight', sums: Float32Array.of(5), count: 0 },
];
const ORIGIN = { datasets: ['notes.txt', 'photos'], chunkCount: 7, chunkSize: 512 };

async function write(entries = ENTRIES): Promise<string> {
  const path = join(await temporaryFolder(), 'model.imatrix');
  await writeImportance(await OutputFile.create(path), entries, ORIGIN);
  return path;
}

function floats(name: string, shape: number[], ...values: number[]): GgufTensor {
  const data = Buffer.concat(values.map((value) => numberBytes(VALUE_TYPES.f32, value)));
  return { name, shape, type: 0, data };
}

/** As llama-imatrix writes it: keys in its order, paths as datasets. */
function llamaFile(...tensors: GgufTensor[]): GgufFile {
  const file = new GgufFile([], tensors).setString('general.type', 'imatrix');
  file.values.push({
    key: 'imatrix.datasets',
    type: VALUE_TYPES.array,
    of: VALUE_TYPES.string,
    items: [stringBytes('/data/wiki.train.raw')],
  });
  return file.setU32('imatrix.chunk_count', 2).setU32('imatrix.chunk_size', 512);
}

async function read(file: GgufFile | Uint8Array): Promise<Map<string, Float32Array>> {
  const path = join(await temporaryFolder(), 'some.imatrix');
  await writeFile(path, file instanceof GgufFile ? file.serialise().bytes : file);
  return readImportance(path);
}

test("a file has llama.cpp's keys and tensors", async () => {
  const path = await write();
  const { metadata, tensors } = await readGguf(path);
  expect(Object.fromEntries(metadata)).toEqual({
    'general.type': { type: 'string', value: 'imatrix' },
    'imatrix.datasets': { type: 'string[]', value: ['notes.txt', 'photos'] },
    'imatrix.chunk_count': { type: 'u32', value: 7 },
    'imatrix.chunk_size': { type: 'u32', value: 512 },
  });
  expect([...tensors.keys()]).toEqual([
    'blk.0.attn_qkv.weight.in_sum2',
    'blk.0.attn_qkv.weight.counts',
    'blk.1.ffn_down.weight.in_sum2',
    'blk.1.ffn_down.weight.counts',
  ]);
  expect(tensors.get('blk.1.ffn_down.weight.in_sum2')).toMatchObject({ shape: [4], type: 0 });
  expect(tensors.get('blk.1.ffn_down.weight.counts')).toMatchObject({ shape: [1], type: 0 });
  expect(await readdir(join(path, '..'))).toEqual(['model.imatrix']);
});

test('what was written is read as mean squares, but for what nothing has met', async () => {
  expect(Object.fromEntries(await readImportance(await write()))).toEqual({
    'blk.0.attn_qkv.weight': Float32Array.of(0, 3),
    'blk.1.ffn_down.weight': Float32Array.of(0.25, 0.5, 0.75, 1),
  });
});

test('a file of llama-imatrix is read, but for what says nothing', async () => {
  const file = llamaFile(
    floats('blk.0.ffn_up.weight.in_sum2', [3, 1], 2, 4, 8),
    floats('blk.0.ffn_up.weight.counts', [1, 1], 1024),
    floats('output.weight.in_sum2', [2], 1, 0),
    floats('output.weight.counts', [1], 0),
    floats('blk.1.ffn_up.weight.in_sum2', [2], 0, 0),
    floats('blk.1.ffn_up.weight.counts', [1], 8),
  );
  expect(Object.fromEntries(await read(file))).toEqual({
    'blk.0.ffn_up.weight': Float32Array.of(2 / 1024, 4 / 1024, 8 / 1024),
  });
});

describe('a file that is damaged or something else is refused', () => {
  const sums = (...values: number[]) => floats('x.in_sum2', [values.length], ...values);
  const count = (...values: number[]) => floats('x.counts', [values.length], ...values);
  test.each<[string, () => GgufFile, RegExp]>([
    [
      'another kind',
      () => llamaFile(sums(1), count(1)).setString('general.type', 'adapter'),
      /general\.type = imatrix/,
    ],
    [
      'a longer kind',
      () => llamaFile(sums(1), count(1)).setString('general.type', 'imatrix2'),
      /general\.type/,
    ],
    ['a number as kind', () => llamaFile(sums(1), count(1)).setU32('general.type', 7), /general\.type/],
    [
      'no kind',
      () => new GgufFile([], [sums(1), count(1)]),
      /general\.type = imatrix.*no such key.*xgen-mm imatrix/,
    ],
    ['sums without a count', () => llamaFile(sums(1)), /x\.counts beside x\.in_sum2/],
    ['several counts', () => llamaFile(sums(1, 2), count(1, 1)), /one count in x\.counts.*received 2/],
    ['a negative count', () => llamaFile(sums(1), count(-1)), /a number of rows in x\.counts.*received -1/],
    ['half a row', () => llamaFile(sums(1), count(0.5)), /number of rows.*received 0\.5/],
    ['a count that is none', () => llamaFile(sums(1), count(Number.NaN)), /number of rows.*received NaN/],
    [
      'a negative sum',
      () => llamaFile(sums(1, -2), count(1)),
      /sums of squares of activations in x\.in_sum2.*received -2 .*column 1/,
    ],
    ['an infinite sum', () => llamaFile(sums(Number.POSITIVE_INFINITY), count(1)), /received Infinity/],
    ['a sum that no model has', () => llamaFile(sums(3e38), count(100)), /activations.*received 3.*e\+36/],
    ['a sum that is none', () => llamaFile(sums(Number.NaN), count(1)), /received NaN/],
    [
      'sums in f16',
      () => llamaFile({ name: 'x.in_sum2', shape: [16], type: 1, data: Buffer.alloc(32) }, count(1)),
      /f32 values in x\.in_sum2.*received f16/,
    ],
    ['nothing that was met', () => llamaFile(sums(1), count(0)), /in_sum2.*none that something/],
    ['other tensors', () => llamaFile(floats('y', [1], 1)), /in_sum2/],
  ])('%s', async (_, file, message) => {
    await expect(read(file())).rejects.toEqual(failure('ERR_XGENMM_MODEL_INVALID', message));
  });

  test.each<[string, Uint8Array, ErrorCode]>([
    ['text', Buffer.from('a text, not a GGUF file'), 'ERR_XGENMM_MODEL_INVALID'],
    ['nothing', Buffer.alloc(0), 'ERR_XGENMM_MODEL_INVALID'],
    [
      'one that was cut off',
      llamaFile(sums(1, 2, 3, 4), count(1))
        .serialise()
        .bytes.subarray(0, -8),
      'ERR_XGENMM_MODEL_INVALID',
    ],
  ])('%s', async (_, bytes, code) => {
    await expect(read(bytes)).rejects.toEqual(failure(code));
  });

  test('one with more than any model has', async () => {
    const path = join(await temporaryFolder(), 'huge.imatrix');
    const { header, size } = layOut(new Map([['general.type', { type: 'string', value: 'imatrix' }]]), [
      { name: 'x.in_sum2', shape: [2 ** 27], type: 'f32' },
      { name: 'x.counts', shape: [1], type: 'f32' },
    ]);
    await writeFile(path, header);
    // Zeros that are not on the disk.
    await truncate(path, size);
    await expect(readImportance(path)).rejects.toEqual(
      failure('ERR_XGENMM_MODEL_INVALID', /at most 268435456 bytes of tensors.*received 536870916/),
    );
  });

  test('one that is not there', async () => {
    await expect(readImportance(join(await temporaryFolder(), 'none'))).rejects.toEqual(
      failure('ERR_XGENMM_FILE_NOT_FOUND', /none/),
    );
  });
});
