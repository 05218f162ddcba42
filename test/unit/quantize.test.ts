import { readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { convert } from '../../lib/convert/convert.js';
import { type QuantizeOptions, quantize } from '../../lib/convert/quantize.js';
import { loadModel } from '../../lib/index.js';
import { modelFile } from '../files.js';
import { GgufFile } from '../gguf-file.js';
import { plainPhi3 } from '../golden/plain-phi3.js';
import { TINY, temporaryFolder } from './checkpoint.js';

const WIDE = modelFile('wide-f16');

/** Quantising over an old file fails with these, the old file stays, and nothing lies beside it. */
async function expectRefusal(
  input: string,
  options: QuantizeOptions | undefined,
  code: string,
  message: RegExp,
): Promise<void> {
  const folder = await temporaryFolder();
  const output = join(folder, 'out.gguf');
  await writeFile(output, 'old');
  await expect(quantize(input, output, options)).rejects.toMatchObject({
    name: 'XgenmmError',
    code: `ERR_XGENMM_${code}`,
    message: expect.stringMatching(message),
  });
  expect(await readdir(folder)).toEqual(['out.gguf']);
  expect(await readFile(output, 'utf8')).toBe('old');
}

async function write(file: GgufFile): Promise<string> {
  const path = join(await temporaryFolder(), 'in.gguf');
  await writeFile(path, file.serialise().bytes);
  return path;
}

async function quantized(input: string, options: QuantizeOptions): Promise<GgufFile> {
  const output = join(await temporaryFolder(), 'out.gguf');
  await quantize(input, output, options);
  return GgufFile.read(output);
}

describe('keys', () => {
  test('are copied, but for those that say how the file is stored', async () => {
    const before = GgufFile.read(WIDE);
    const after = await quantized(WIDE, { type: 'q4_k_m' });
    expect(after.u32('general.file_type')).toBe(15);
    expect(after.u32('general.quantization_version')).toBe(2);
    const others = ({ values }: GgufFile) => values.filter(({ key }) => key !== 'general.file_type');
    expect(others(after)).toEqual(others(before));
  });

  test('unknown ones too, whatever their type; a wider alignment is replaced, absent keys are added', async () => {
    const file = GgufFile.read(WIDE);
    file.values = file.values.filter(({ key }) => !/file_type|quantization_version/.test(key));
    file.set('custom.long', 10, Buffer.from('0102030405060708', 'hex'));
    file.set('custom.byte', 0, Buffer.of(7));
    file.set('general.alignment', 4, Buffer.from('00010000', 'hex'));
    file.alignment = 256;
    const after = await quantized(await write(file), { type: 'q8_0' });
    expect(after.value('custom.long').items[0]?.toString('hex')).toBe('0102030405060708');
    expect(after.value('custom.byte').items[0]?.[0]).toBe(7);
    expect(after.u32('general.alignment')).toBe(32);
    expect(after.u32('general.file_type')).toBe(7);
  });
});

describe('what is already stored as wanted', () => {
  test('is copied: quantising twice gives the same file', async () => {
    const folder = await temporaryFolder();
    const [once, twice] = [join(folder, 'once.gguf'), join(folder, 'twice.gguf')];
    await quantize(WIDE, once, { type: 'q5_k_m', vision: 'q4_0' });
    await quantize(once, twice, { type: 'q5_k_m', vision: 'q4_0' });
    expect((await readFile(twice)).equals(await readFile(once))).toBe(true);
  });

  test('and without a type the text is, whatever it is', async () => {
    const folder = await temporaryFolder();
    const [text, both] = [join(folder, 'text.gguf'), join(folder, 'both.gguf')];
    await quantize(WIDE, text, { type: 'q4_k_m', vision: 'f16' });
    const { types } = await quantize(text, both, { vision: 'q8_0' });
    expect(types).toEqual({ text: undefined, vision: 'q8_0', resampler: 'q8_0' });
    const [before, after] = [GgufFile.read(text), GgufFile.read(both)];
    expect(after.tensor('blk.0.ffn_up.weight')).toEqual(before.tensor('blk.0.ffn_up.weight'));
    expect(after.tensor('v.blk.0.ffn_up.weight').type).toBe(8);
    expect(after.u32('general.file_type')).toBe(15);
  });

  test('but nothing is quantised a second time', async () => {
    const quantised = join(await temporaryFolder(), 'q8_0.gguf');
    await quantize(WIDE, quantised, { type: 'q8_0' });
    await expectRefusal(
      quantised,
      { type: 'q4_k_m' },
      'INVALID_ARGUMENT',
      /received q8_0: quantise from the f16 or bf16 file/,
    );
    await expectRefusal(quantised, { type: 'f16' }, 'INVALID_ARGUMENT', /received q8_0/);
  });
});

test('a plain phi3 file: the text rules alone', async () => {
  const input = await write(plainPhi3());
  const output = join(await temporaryFolder(), 'out.gguf');
  const { tensors } = await quantize(input, output, { type: 'q4_k_m' });
  expect(new Set(tensors.map(({ part }) => part))).toEqual(new Set(['text']));
  // Rows of 96 are no whole blocks of 256.
  expect(GgufFile.read(output).tensor('blk.0.attn_output.weight').type).toBe(8);
  const model = await loadModel(output, { threads: 1 });
  expect((await model.complete('A', { maxTokens: 2 })).tokens.length).toBeGreaterThan(0);
  await model.dispose();
  await expectRefusal(input, { vision: 'q8_0' }, 'INVALID_ARGUMENT', /vision part.*text-only/);
});

test('a vision part', async () => {
  const folder = await temporaryFolder();
  const vision = join(folder, 'vision.gguf');
  await convert(TINY, vision, { part: 'vision', variant: 'base' });
  const after = await quantized(vision, { vision: 'q8_0' });
  expect(after.tensor('v.blk.0.attn_q.weight').type).toBe(8);
  expect(after.u32('general.file_type')).toBe(7);
});

test.each([
  [undefined, /Expected a type for the text or for the vision part, received none/],
  [{}, /received none/],
  [{ type: 'q3_k' }, /for type in quantize\(\), received "q3_k"/],
  [{ vision: 'q6_k' }, /for vision in quantize\(\), received "q6_k"/],
  [{ tpye: 'q8_0' }, /did you mean 'type'/],
])('options %j are refused', (options, message) =>
  expectRefusal(WIDE, options as QuantizeOptions, 'INVALID_ARGUMENT', message),
);

describe('files that are refused', () => {
  const type = 'q8_0';

  test('absent or no GGUF', async () => {
    await expectRefusal(join(TINY, 'absent.gguf'), { type }, 'FILE_NOT_FOUND', /absent\.gguf/);
    await expectRefusal(join(TINY, 'config.json'), { type }, 'MODEL_INVALID', /GGUF/);
  });

  test('of another architecture, split, or with a tensor that cannot be stored', async () => {
    const llama = GgufFile.read(WIDE).setString('general.architecture', 'llama');
    await expectRefusal(await write(llama), { type }, 'MODEL_UNSUPPORTED', /xgenmm or phi3.*"llama"/);
    const number = GgufFile.read(WIDE).set('general.architecture', 4, Buffer.alloc(4));
    await expectRefusal(await write(number), { type }, 'MODEL_UNSUPPORTED', /received none/);
    const split = GgufFile.read(WIDE).set('split.count', 2, Buffer.of(2, 0));
    await expectRefusal(await write(split), { type }, 'MODEL_UNSUPPORTED', /split/);
    const odd = GgufFile.read(WIDE);
    odd.tensors.push({ name: 'odd', shape: [4], type: 24, data: Buffer.alloc(4) });
    await expectRefusal(await write(odd), { type }, 'MODEL_UNSUPPORTED', /"odd", received i8/);
  });

  test('with a value that the type cannot hold, or none can', async () => {
    const file = GgufFile.read(modelFile('wide-f32'));
    const { data } = file.tensor('blk.0.ffn_up.weight');
    data.writeFloatLE(70_000, 4 * 1000);
    await expectRefusal(
      await write(file),
      { type },
      'MODEL_INVALID',
      /that q8_0 can hold in the tensor blk\.0\.ffn_up\.weight, received 70000/,
    );
    data.writeUInt32LE(0x7fc00000, 4 * 1000);
    await expectRefusal(
      await write(file),
      { type },
      'MODEL_INVALID',
      /finite weights in the tensor blk\.0\.ffn_up\.weight, received NaN/,
    );
    const halves = GgufFile.read(WIDE);
    halves.tensor('blk.1.ffn_down.weight').data.writeUInt16LE(0xfc00, 2 * 5);
    await expectRefusal(
      await write(halves),
      { type },
      'MODEL_INVALID',
      /blk\.1\.ffn_down\.weight, received -Infinity/,
    );
  });

  test('with rows that no buffer holds', async () => {
    const file = GgufFile.read(WIDE);
    const side = 2 ** 22 + 32;
    file.tensors.push({ name: 'blk.0.wide.weight', shape: [side, 2], type: 1, data: Buffer.alloc(4 * side) });
    await expectRefusal(await write(file), { type }, 'MODEL_INVALID', /at most 4194304 values/);
  });

  test('the output itself, by whatever name', async () => {
    await expect(quantize(WIDE, WIDE, { type })).rejects.toMatchObject({
      code: 'ERR_XGENMM_INVALID_ARGUMENT',
    });
    // Links need a privilege on Windows.
    if (process.platform === 'win32') return;
    const alias = join(await temporaryFolder(), 'alias.gguf');
    await symlink(WIDE, alias);
    await expect(quantize(WIDE, alias, { type })).rejects.toMatchObject({
      code: 'ERR_XGENMM_INVALID_ARGUMENT',
      message: expect.stringContaining('which is to be read itself'),
    });
  });
});

test('aborting leaves the old file', async () => {
  const folder = await temporaryFolder();
  const output = join(folder, 'out.gguf');
  await writeFile(output, 'old');
  const interrupt = new AbortController();
  const reason = new Error('enough');
  const onProgress = () => interrupt.abort(reason);
  await expect(quantize(WIDE, output, { type: 'q8_0', onProgress, signal: interrupt.signal })).rejects.toBe(
    reason,
  );
  expect(await readdir(folder)).toEqual(['out.gguf']);
  expect(await readFile(output, 'utf8')).toBe('old');
});
