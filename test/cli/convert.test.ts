import { type ChildProcess, spawn } from 'node:child_process';
import { readdir, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { copyWithTensors, editHeader, editJson, TINY, temporaryFolder } from '../unit/checkpoint.js';
import { readGguf } from '../unit/gguf-reader.js';

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

interface Outcome {
  code: number | null;
  stdout: string;
  stderr: string;
}

function start(...args: string[]): { child: ChildProcess; outcome: Promise<Outcome> } {
  const child = spawn(process.execPath, [MAIN, 'convert', ...args]);
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  const outcome = new Promise<Outcome>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
  return { child, outcome };
}

const run = (...args: string[]) => start(...args).outcome;

test('writes f16 unless told otherwise, and nothing on stdout', async () => {
  const target = await temporaryFolder();
  const output = join(target, 'tiny.gguf');
  expect(await run(TINY, output, '--variant', 'base')).toEqual({ code: 0, stdout: '', stderr: '' });
  const f16 = await readGguf(output);
  expect(f16.metadata.get('general.file_type')?.value).toBe(1);
  expect(f16.metadata.get('xgenmm.variant')?.value).toBe('base');

  expect((await run(TINY, output, '--type', 'bf16', '--variant', 'instruct-dpo')).code).toBe(0);
  const bf16 = await readGguf(output);
  expect(bf16.metadata.get('general.file_type')?.value).toBe(32);
  expect(bf16.metadata.get('xgenmm.variant')?.value).toBe('instruct-dpo');
});

test('says on stderr which variant it assumes', async () => {
  const output = join(await temporaryFolder(), 'tiny.gguf');
  const { code, stdout, stderr } = await run(TINY, output);
  expect([code, stdout]).toEqual([0, '']);
  expect(stderr).toMatch(/^Note: .*instruct-interleave is assumed\.\n$/);
});

test('help names the default type, the variants and examples', async () => {
  const { code, stdout } = await run('--help');
  expect(code).toBe(0);
  expect(stdout).toMatch(/--type <type>[^-]*choices: "f32", "f16", "bf16",\s+default: "f16"/);
  expect(stdout).toContain('"instruct-singleimg"');
  expect(stdout).toContain('Examples:');
});

test('a failure is one line with its code, and exit status 1', async () => {
  const target = await temporaryFolder();
  const { code, stdout, stderr } = await run(join(target, 'absent'), join(target, 'out.gguf'));
  expect([code, stdout]).toEqual([1, '']);
  expect(stderr).toMatch(/^xgen-mm: .*absent.* \(ERR_XGENMM_FILE_NOT_FOUND\)\n$/);
  expect(await readdir(target)).toEqual([]);
});

test.each([
  [['--type', 'q4_0'], 'Allowed choices are f32, f16, bf16'],
  [['--variant', 'chat'], 'Allowed choices are base'],
  [['--quantise'], "unknown option '--quantise'"],
])('wrong usage: %j', async (args, message) => {
  const target = await temporaryFolder();
  const { code, stderr } = await run(TINY, join(target, 'out.gguf'), ...args);
  expect(code).toBe(2);
  expect(stderr).toContain(message);
  expect(await readdir(target)).toEqual([]);
});

// On Windows a signal ends the process at once.
test.skipIf(process.platform === 'win32')('Ctrl-C leaves no file and ends with 130', async () => {
  const folder = await makeHugeCheckpoint();
  const target = await temporaryFolder();
  const { child, outcome } = start(folder, join(target, 'out.gguf'), '--variant', 'base');
  while ((await readdir(target)).length === 0) await setTimeout(5);
  child.kill('SIGINT');
  expect(await outcome).toEqual({ code: 130, stdout: '', stderr: '' });
  expect(await readdir(target)).toEqual([]);
});

/** Tiny with positions for 4096 x 4096 patches: 2 GB of zeros that are not on the disk. */
async function makeHugeCheckpoint(): Promise<string> {
  const [side, width] = [4096, 64];
  const size = 2 * side * side * width;
  const embeddings = 'vlm.vision_encoder.embeddings';
  const folder = await copyWithTensors((tensors) => {
    const kernel = { dtype: 'BF16', shape: [width, 3, 1, 1], bytes: Buffer.alloc(2 * width * 3) };
    tensors.set(`${embeddings}.patch_embedding.weight`, kernel);
    tensors.delete(`${embeddings}.position_embedding.weight`);
  });
  await editJson<{ vision_encoder_config: object }>(join(folder, 'config.json'), (config) => {
    Object.assign(config.vision_encoder_config, { image_size: side, patch_size: 1, anyres_grids: null });
  });
  const weights = join(folder, 'model.safetensors');
  await editHeader(weights, (header) => {
    const end = Math.max(
      ...Object.values(header).map((tensor) => (tensor.data_offsets as number[])[1] as number),
    );
    header[`${embeddings}.position_embedding.weight`] = {
      dtype: 'BF16',
      shape: [side * side, width],
      data_offsets: [end, end + size],
    };
  });
  await truncate(weights, (await stat(weights)).size + size);
  return folder;
}
