import { readdirSync, readFileSync } from 'node:fs';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type ConvertOptions, convert } from '../../lib/convert/convert.js';
import { copyCheckpoint, expectRefusal, TINY, temporaryFolder } from './checkpoint.js';

const FIRST = 'model-00001-of-00002.safetensors';

describe('arguments and output', () => {
  test.each([
    [{ type: 'Q4_0' }, "or 'q4_0' or 'iq4_nl' for type in convert(), received \"Q4_0\""],
    [{ vision: 'q4_k_m' }, "or 'q8_0' or 'q4_0' for vision in convert(), received \"q4_k_m\""],
    [{ part: 'text' }, "Expected 'all' or 'vision' for part in convert()"],
    [{ imatrix: 7 }, 'Expected a path or file URL for imatrix in convert(), received 7'],
    [{ variant: 'chat' }, 'for variant in convert(), received "chat"'],
    [{ typ: 'f16' }, "Unknown option 'typ' in convert(): did you mean 'type'?"],
    [{ signal: {} }, 'Expected an AbortSignal for signal in convert()'],
  ])('%j', async (options, message) => {
    await expectRefusal(TINY, 'INVALID_ARGUMENT', message, options as ConvertOptions);
  });

  test('no path', async () => {
    await expect(convert('', 'out.gguf')).rejects.toMatchObject({ code: 'ERR_XGENMM_INVALID_ARGUMENT' });
    await expect(convert(TINY, '')).rejects.toMatchObject({ code: 'ERR_XGENMM_INVALID_ARGUMENT' });
  });

  test('an output that is a file of the checkpoint', async () => {
    const folder = await copyCheckpoint();
    const before = await readFile(join(folder, FIRST));
    await expect(convert(folder, join(folder, FIRST))).rejects.toMatchObject({
      code: 'ERR_XGENMM_INVALID_ARGUMENT',
      message: expect.stringContaining('which is to be read itself'),
    });
    expect((await readFile(join(folder, FIRST))).equals(before)).toBe(true);
  });

  test('an output in a folder that does not exist, or that is a folder', async () => {
    const target = await temporaryFolder();
    await expect(convert(TINY, join(target, 'absent', 'out.gguf'))).rejects.toMatchObject({
      code: 'ERR_XGENMM_WRITE_FAILED',
    });
    await expect(convert(TINY, target)).rejects.toMatchObject({ code: 'ERR_XGENMM_WRITE_FAILED' });
    expect(await readdir(target)).toEqual([]);
  });
});

describe('aborting', () => {
  test('midway rejects with the reason and leaves the old file alone', async () => {
    const target = await temporaryFolder();
    const output = join(target, 'out.gguf');
    await writeFile(output, 'old');
    const interrupt = new AbortController();
    const reason = new Error('enough');
    let steps = 0;
    let files: string[] = [];
    const onProgress = () => {
      if (++steps < 20) return;
      files = readdirSync(target);
      interrupt.abort(reason);
    };
    await expect(convert(TINY, output, { signal: interrupt.signal, onProgress })).rejects.toBe(reason);
    expect(steps).toBe(20);
    expect(files).toEqual(['out.gguf', expect.stringMatching(/^out\.gguf\..*\.tmp$/)]);
    expect(await readdir(target)).toEqual(['out.gguf']);
    expect(await readFile(output, 'utf8')).toBe('old');
  });

  test('before the start writes nothing', async () => {
    const target = await temporaryFolder();
    const signal = AbortSignal.abort();
    await expect(convert(TINY, join(target, 'out.gguf'), { signal })).rejects.toBe(signal.reason);
    expect(await readdir(target)).toEqual([]);
  });

  test('an error in a callback is handed on, with no file left', async () => {
    const target = await temporaryFolder();
    const error = new Error('broken bar');
    const onProgress = () => {
      throw error;
    };
    await expect(convert(TINY, join(target, 'out.gguf'), { onProgress })).rejects.toBe(error);
    expect(await readdir(target)).toEqual([]);
  });
});

test('an old file is replaced only when the new one is complete', async () => {
  const target = await temporaryFolder();
  const output = join(target, 'out.gguf');
  await writeFile(output, 'old');
  const during = new Set<string>();
  const { bytes } = await convert(TINY, output, {
    onProgress: () => during.add(readFileSync(output, 'utf8')),
  });
  expect([...during]).toEqual(['old']);
  expect((await stat(output)).size).toBe(bytes);
  expect(await readdir(target)).toEqual(['out.gguf']);
});
