import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { modelFile } from '../files.js';
import { GgufFile } from '../gguf-file.js';
import { temporaryFolder } from '../unit/checkpoint.js';
import { runCli } from './run.js';

const TINY = modelFile('tiny-f16');

test('writes a smaller file, says what it wrote on stderr, and nothing on stdout', async () => {
  const output = join(await temporaryFolder(), 'out.gguf');
  const { code, stdout, stderr } = await runCli([
    'quantize',
    TINY,
    output,
    '--type',
    'Q8_0',
    '--vision',
    'f16',
  ]);
  expect([code, stdout]).toEqual([0, '']);
  expect(stderr).toMatch(
    /^\S+out\.gguf: \S+ MB, language model q8_0, vision tower f16, resampler f16, in \d+\.\d s\n$/,
  );
  const file = GgufFile.read(output);
  expect(file.u32('general.file_type')).toBe(7);
  expect(file.tensor('blk.0.ffn_up.weight').type).toBe(8);
});

test.each([
  [[TINY], 2, "missing required argument 'output'"],
  [[TINY, 'out.gguf', '--type', 'q2_k'], 2, 'Allowed choices are f32'],
  [[TINY, 'out.gguf'], 1, '(ERR_XGENMM_INVALID_ARGUMENT)'],
  [['absent.gguf', 'out.gguf', '--type', 'q8_0'], 1, '(ERR_XGENMM_FILE_NOT_FOUND)'],
])('%j ends with %d', async (args, status, message) => {
  const cwd = await temporaryFolder();
  const { code, stdout, stderr } = await runCli(['quantize', ...args], { cwd });
  expect([code, stdout]).toEqual([status, '']);
  expect(stderr).toContain(message);
  expect(await readdir(cwd)).toEqual([]);
});

test('help has the types and examples', async () => {
  const { code, stdout } = await runCli(['quantize', '--help']);
  expect(code).toBe(0);
  expect(stdout.replaceAll(/\s+/g, ' ')).toContain('iq4_nl (default: the text stays as it is)');
  expect(stdout).toContain('Examples:');
});
