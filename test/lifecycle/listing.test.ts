import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadAddon } from '../../lib/addon.js';
import { modelFile } from '../files.js';
import { GgufFile, numberBytes, stringBytes, VALUE_TYPES } from '../gguf-file.js';

const addon = loadAddon();
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'xgen-mm-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function coded(code: string) {
  return expect.objectContaining({ code, message: expect.stringMatching(/./) });
}

/** A file of the kind that importances are kept in: no model, values of every type, tensors of several shapes and types. */
function unusual(): GgufFile {
  const file = new GgufFile(
    [],
    [
      { name: 'a.in_sum2', shape: [6, 2], type: 0, data: Buffer.alloc(48, 1) },
      { name: 'a.counts', shape: [1, 2], type: 0, data: Buffer.alloc(8, 2) },
      { name: 'cube', shape: [32, 3, 2, 2], type: 8, data: Buffer.alloc(34 * 12, 3) },
      { name: 'alone', shape: [256], type: 12, data: Buffer.alloc(144, 4) },
      { name: 'whole numbers', shape: [5], type: 26, data: Buffer.alloc(20, 5) },
    ],
  );
  for (const [name, type] of Object.entries(VALUE_TYPES)) {
    if (name === 'array') continue;
    const item = name === 'string' ? stringBytes('täxt') : numberBytes(type, 1);
    file.set(`one ${name}`, type, item);
    file.values.push({ key: `some ${name}`, type: VALUE_TYPES.array, of: type, items: [item, item, item] });
  }
  return file;
}

test.each([
  ['a model', () => GgufFile.read(modelFile('tiny-f16'))],
  ['a file that is no model', unusual],
])('%s is listed to the byte', (_, make) => {
  const file = make();
  const { bytes, fields } = file.serialise();
  const path = join(folder, 'good.gguf');
  writeFileSync(path, bytes);
  const { metadata, tensors } = addon.listFile(path);

  const at = (name: string) => fields.find((field) => field.name === name)?.offset as number;
  expect(metadata.map(({ key }) => key)).toEqual(file.values.map(({ key }) => key));
  for (const { key, begin } of metadata) expect(begin).toBe(at(`${key} key length`));
  const ends = metadata.slice(1).map(({ begin }) => begin);
  expect(metadata.map(({ end }) => end)).toEqual(ends.concat(at(`${file.tensors[0]?.name} name length`)));

  const types: Record<number, string> = { 0: 'f32', 1: 'f16', 8: 'q8_0', 12: 'q4_K', 26: 'i32' };
  expect(tensors.map(({ bytes: _, ...tensor }) => tensor)).toEqual(
    file.tensors.map(({ name, shape, type }) => ({
      name,
      shape,
      type: types[type],
      position: fields.find((field) => field.name === name && field.kind === 'data')?.offset,
    })),
  );
  const sizes: Record<string, number> = { f32: 4, f16: 2, q8_0: 34 / 32, q4_K: 144 / 256, i32: 4 };
  for (const { shape, type, bytes } of tensors)
    expect(bytes).toBe(shape.reduce((product, side) => product * side, sizes[type] as number));
});

test('a file without tensors or keys is listed', () => {
  const path = join(folder, 'empty.gguf');
  writeFileSync(path, new GgufFile([], []).serialise().bytes);
  expect(addon.listFile(path)).toEqual({ metadata: [], tensors: [] });
});

test('what is no such file is refused with a code', () => {
  expect(() => addon.listFile(join(folder, 'none.gguf'))).toThrow(coded('ERR_XGENMM_FILE_NOT_FOUND'));
  expect(() => addon.listFile(folder)).toThrow(coded('ERR_XGENMM_FILE_NOT_FOUND'));
  for (const path of [undefined, 5, {}])
    expect(() => addon.listFile(path as unknown as string)).toThrow(coded('ERR_XGENMM_INVALID_ARGUMENT'));
  const path = join(folder, 'bad.gguf');
  const { bytes, fields } = unusual().serialise();
  for (const { offset } of fields) {
    writeFileSync(path, bytes.subarray(0, offset));
    expect(() => addon.listFile(path)).toThrow(coded('ERR_XGENMM_MODEL_INVALID'));
  }
});
