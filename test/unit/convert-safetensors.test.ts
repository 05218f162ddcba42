import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  convertToGguf,
  copyCheckpoint,
  copyWithTensors,
  editHeader,
  editJson,
  expectRefusal,
  type RawTensor,
  TINY,
} from './checkpoint.js';
import type { GgufTensor } from './gguf-reader.js';

const INDEX = 'model.safetensors.index.json';
const FIRST = 'model-00001-of-00002.safetensors';
const NORM = 'vlm.lang_model.model.norm.weight';
const EMBEDDING = 'vlm.lang_model.model.embed_tokens.weight';

describe('index', () => {
  const editIndex = async (edit: (index: { weight_map: Record<string, unknown> }) => void) => {
    const folder = await copyCheckpoint();
    await editJson(join(folder, INDEX), edit);
    return folder;
  };

  test('without a map', async () => {
    const folder = await editIndex((index) => Reflect.deleteProperty(index, 'weight_map'));
    await expectRefusal(
      folder,
      'MODEL_INVALID',
      `Expected the object weight_map in ${INDEX}, received undefined`,
    );
  });

  test('with a shard that is no name', async () => {
    const folder = await editIndex(({ weight_map: map }) => Object.assign(map, { [NORM]: 3 }));
    await expectRefusal(
      folder,
      'MODEL_INVALID',
      `Expected a file name for "${NORM}" in ${INDEX}, received 3`,
    );
  });

  test('that puts a tensor where it is not', async () => {
    const folder = await editIndex(({ weight_map: map }) => Object.assign(map, { [NORM]: FIRST }));
    await expectRefusal(folder, 'MODEL_INVALID', `Expected the tensor "${NORM}" in ${FIRST}`);
  });

  test('with a tensor in two shards', async () => {
    const folder = await editIndex(({ weight_map: map }) =>
      Object.assign(map, { again: 'third.safetensors' }),
    );
    await writeFile(join(folder, 'third.safetensors'), await readFile(join(folder, FIRST)));
    await expectRefusal(
      folder,
      'MODEL_INVALID',
      /Expected the tensor ".*" once, received it in .* and third/,
    );
  });
});

describe('header', () => {
  const damaged = async (damage: (file: Buffer) => Buffer) => {
    const folder = await copyCheckpoint();
    const path = join(folder, FIRST);
    await writeFile(path, damage(await readFile(path)));
    return folder;
  };
  const withLength = (length: bigint) => (file: Buffer) => {
    file.writeBigUInt64LE(length);
    return file;
  };

  test.each([
    ['a file of 5 bytes', (file: Buffer) => file.subarray(0, 5), `received 5 bytes in ${FIRST}`],
    ['a length of 2^63', withLength(2n ** 63n), 'received a length of 9223372036854775808'],
    ['a length beyond the file', withLength(841_431n), 'received a length of 841431'],
    ['a length that cuts the JSON', withLength(100n), `Expected JSON in the header of ${FIRST}`],
    ['a length of 0', withLength(0n), `Expected JSON in the header of ${FIRST}`],
    ['no JSON', (file: Buffer) => file.fill('x', 8, 20), `Expected JSON in the header of ${FIRST}`],
    ['missing data', (file: Buffer) => file.subarray(0, -2), /to end within the \d+ data bytes/],
    [
      'surplus data',
      (file: Buffer) => Buffer.concat([file, Buffer.alloc(2)]),
      /Expected \d+ bytes of data in/,
    ],
  ])('%s', async (_, damage, message) => {
    await expectRefusal(await damaged(damage), 'MODEL_INVALID', message);
  });

  const edits: [string, (tensor: Record<string, unknown>) => void, string | RegExp][] = [
    ['a dtype of integers', (tensor) => Object.assign(tensor, { dtype: 'I64' }), 'received "I64"'],
    [
      'a dtype of the prototype',
      (tensor) => Object.assign(tensor, { dtype: 'toString' }),
      'received "toString"',
    ],
    ['no dtype', (tensor) => Reflect.deleteProperty(tensor, 'dtype'), 'received undefined'],
    ['a negative side', (tensor) => Object.assign(tensor, { shape: [-640, 96] }), 'received [-640,96]'],
    ['a fractional side', (tensor) => Object.assign(tensor, { shape: [0.5, 96] }), 'received [0.5,96]'],
    ['no shape', (tensor) => Object.assign(tensor, { shape: '640' }), 'received "640"'],
    [
      'a size that overflows',
      (tensor) => Object.assign(tensor, { shape: [2 ** 52, 2 ** 52, 2 ** 52] }),
      'Expected 1.8',
    ],
    ['an offset too few', (tensor) => Object.assign(tensor, { data_offsets: [0] }), 'received [0]'],
    [
      'offsets of another size',
      (tensor) => Object.assign(tensor, { data_offsets: [0, 6] }),
      'data_offsets [0,6]',
    ],
    [
      'overlapping data',
      (tensor) => {
        const [begin, end] = tensor.data_offsets as [number, number];
        tensor.data_offsets = [begin - 2, end - 2];
      },
      /Expected the tensor ".*" at byte \d+ of the data/,
    ],
    [
      'a hole',
      (tensor) => {
        const [begin, end] = tensor.data_offsets as [number, number];
        tensor.data_offsets = [begin + 2, end + 2];
      },
      /Expected the tensor ".*" at byte \d+ of the data/,
    ],
  ];
  test.each(edits)('%s', async (_, edit, message) => {
    const folder = await copyCheckpoint();
    await editHeader(join(folder, FIRST), (header) => edit(header[EMBEDDING] as Record<string, unknown>));
    await expectRefusal(folder, 'MODEL_INVALID', message);
  });
});

describe('tensors', () => {
  const change = (name: string, edit: (tensor: RawTensor) => void) => (tensors: Map<string, RawTensor>) =>
    edit(tensors.get(name) as RawTensor);

  test('missing', async () => {
    const folder = await copyWithTensors((tensors) => tensors.delete(NORM));
    await expectRefusal(
      folder,
      'MODEL_INVALID',
      `Expected a tensor ${NORM} in the checkpoint, received none`,
    );
  });

  test('misnamed', async () => {
    const folder = await copyWithTensors((tensors) => {
      tensors.set('vlm.lang_model.extra', { dtype: 'F32', shape: [1], bytes: Buffer.alloc(4) });
    });
    await expectRefusal(folder, 'MODEL_INVALID', 'Expected no tensor of the name "vlm.lang_model.extra"');
  });

  test('of another shape', async () => {
    const folder = await copyWithTensors(
      change(NORM, (tensor) => {
        tensor.shape = [2, 48];
      }),
    );
    await expectRefusal(
      folder,
      'MODEL_INVALID',
      `Expected shape [96] for the tensor ${NORM}, received [2,48]`,
    );
  });

  test('of the pooling head are skipped, whatever they hold', async () => {
    const folder = await copyWithTensors((tensors) => {
      tensors.set('vlm.vision_encoder.head.probe', {
        dtype: 'F32',
        shape: [1],
        bytes: Buffer.alloc(4, 0xff),
      });
    });
    expect((await convertToGguf(folder)).tensors.size).toBe((await convertToGguf(TINY)).tensors.size);
  });

  test.each([
    ['NaN', 0x7fc0, 'NaN'],
    ['infinity', 0xff80, '-Infinity'],
  ])('with %s', async (_, bf16, shown) => {
    const folder = await copyWithTensors(
      change(NORM, ({ bytes }) => {
        bytes.writeUInt16LE(bf16, 2 * 95);
      }),
    );
    await expectRefusal(
      folder,
      'MODEL_INVALID',
      `Expected finite weights in the tensor ${NORM}, received ${shown}`,
    );
  });

  test('with values that f16 cannot hold, which bf16 can', async () => {
    const name = 'vlm.vision_tokenizer.projection.weight';
    const folder = await copyWithTensors(
      change(name, ({ bytes }) => {
        bytes.writeUInt16LE(0x4780, 2 * 7);
      }),
    );
    const message = `Expected weights that f16 can hold in the tensor ${name}, received 65536`;
    await expectRefusal(folder, 'MODEL_INVALID', message);
    expect((await convertToGguf(folder, { type: 'bf16' })).tensors.size).toBeGreaterThan(0);
  });

  test('rows of the big tables that are cut off may hold anything', async () => {
    const folder = await copyWithTensors(
      change(EMBEDDING, ({ bytes }) => {
        bytes.fill(0xff, 2 * 96 * 612);
      }),
    );
    const { bytes } = (await convertToGguf(folder)).tensors.get('token_embd.weight') as GgufTensor;
    const { tensors } = await convertToGguf(TINY);
    expect(tensors.get('token_embd.weight')?.bytes.equals(bytes)).toBe(true);
  });
});
