import { type ChildProcess, spawn } from 'node:child_process';
import { readdir, readFile, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
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

test('writes f16 unless told otherwise, says what it wrote on stderr, and nothing on stdout', async () => {
  const target = await temporaryFolder();
  const output = join(target, 'tiny.gguf');
  const { code, stdout, stderr } = await run(TINY, output, '--variant', 'base');
  expect([code, stdout]).toEqual([0, '']);
  expect(stderr).toMatch(
    /^\S+tiny\.gguf: 1\.49 MB, language model f16, vision tower f16, resampler f16, in \d+\.\d s\n$/,
  );
  const f16 = await readGguf(output);
  expect(f16.metadata.get('general.file_type')?.value).toBe(1);
  expect(f16.metadata.get('xgenmm.variant')?.value).toBe('base');

  expect((await run(TINY, output, '--type', 'bf16', '--variant', 'instruct-dpo')).code).toBe(0);
  const bf16 = await readGguf(output);
  expect(bf16.metadata.get('general.file_type')?.value).toBe(32);
  expect(bf16.metadata.get('xgenmm.variant')?.value).toBe('instruct-dpo');
});

test('types may be written in capital letters', async () => {
  const output = join(await temporaryFolder(), 'tiny.gguf');
  const flags = ['--type', 'Q4_K_M', '--vision', 'Q4_0', '--resampler', 'BF16', '--variant', 'base'];
  expect((await run(TINY, output, ...flags)).stderr).toContain(
    'language model q4_k_m, vision tower q4_0, resampler bf16',
  );
  expect((await readGguf(output)).metadata.get('general.file_type')?.value).toBe(15);
});

test('says on stderr which variant it assumes', async () => {
  const output = join(await temporaryFolder(), 'tiny.gguf');
  const { code, stdout, stderr } = await run(TINY, output, '--part', 'vision');
  expect([code, stdout]).toEqual([0, '']);
  expect(stderr).toMatch(
    /^Note: .*instruct-interleave is assumed\.\n\S+tiny\.gguf: \S+ kB, vision tower f16, resampler f16/,
  );
});

test('a dry run prints what would be written, and writes nothing', async () => {
  const target = await temporaryFolder();
  const { code, stdout, stderr } = await run(TINY, join(target, 'tiny.gguf'), '--dry-run', '--type', 'q8_0');
  expect([code, await readdir(target)]).toEqual([0, []]);
  expect(stdout).toMatch(
    /^\S+tiny\.gguf: \S+ kB, language model q8_0, .*; variant instruct-interleave\ntensors +type +count +size\nlanguage model +q8_0 +14 +477\.97 kB\n/,
  );
  expect(stderr).toMatch(/^Note: .*\n$/);
});

test('help names the types, the variants and examples', async () => {
  const { code, stdout } = await run('--help');
  expect(code).toBe(0);
  expect(stdout.replaceAll(/\s+/g, ' ')).toContain(
    'stored in: f32, f16, bf16, q8_0, q6_k, q5_k_m, q4_k_m, q4_0, iq4_nl (default: f16)',
  );
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
  [['--type', 'q3_k'], 'Allowed choices are f32, f16, bf16'],
  [['--vision', 'q4_k_m'], 'Allowed choices are f32, f16, bf16, q8_0, q4_0'],
  [['--part', 'text'], 'Allowed choices are all, vision'],
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
describe.skipIf(process.platform === 'win32')('a run that is ended', () => {
  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('by %s leaves the old file, no other, and ends with %d', async (signal, status) => {
    const folder = await makeHugeCheckpoint();
    const target = await temporaryFolder();
    const output = join(target, 'out.gguf');
    await writeFile(output, 'old');
    const { child, outcome } = start(folder, output, '--variant', 'base');
    while ((await readdir(target)).length === 1) await setTimeout(5);
    child.kill(signal);
    expect(await outcome).toEqual({ code: status, stdout: '', stderr: '' });
    expect(await readdir(target)).toEqual(['out.gguf']);
    expect(await readFile(output, 'utf8')).toBe('old');
  });

  test('by SIGKILL at any moment leaves the old file or the new one, and what else it left is named', async () => {
    const target = await temporaryFolder();
    const output = join(target, 'out.gguf');
    const begun = performance.now();
    expect((await run(TINY, output, '--type', 'q4_k_m', '--variant', 'base')).code).toBe(0);
    const duration = performance.now() - begun;
    const complete = await readFile(output);
    for (let i = 0; i < 12; i++) {
      await writeFile(output, 'old');
      const { child, outcome } = start(TINY, output, '--type', 'q4_k_m', '--variant', 'base');
      // The seam between start and end, at its most interesting place: the last part of the run.
      await setTimeout(duration * (0.4 + 0.055 * i));
      child.kill('SIGKILL');
      await outcome;
      const file = await readFile(output);
      expect(file.equals(complete) || file.toString() === 'old').toBe(true);
    }
    const left = (await readdir(target)).filter((name) => name !== 'out.gguf');
    expect(left.every((name) => /^out\.gguf\.[0-9a-f]{12}\.tmp$/.test(name))).toBe(true);
    const { code, stderr } = await run(TINY, output, '--type', 'q4_k_m', '--variant', 'base');
    expect(code).toBe(0);
    expect(stderr.match(/is left from a run that was killed/g)?.length ?? 0).toBe(left.length);
  });

  test('by a limit on the size of files, as by a full disk, leaves the old file and no other', async () => {
    const target = await temporaryFolder();
    const output = join(target, 'out.gguf');
    await writeFile(output, 'old');
    // 100 blocks of 512 or 1,024 bytes; Node.js ignores the signal, so that writing fails.
    const command = `ulimit -f 100; exec "${process.execPath}" "${MAIN}" convert "${TINY}" "${output}" --variant base`;
    const child = spawn('sh', ['-c', command]);
    let stderr = '';
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    const code = await new Promise((resolve) => child.on('close', resolve));
    expect(code).toBe(1);
    expect(stderr).toMatch(/^xgen-mm: Could not write .*EFBIG.* \(ERR_XGENMM_WRITE_FAILED\)\n$/);
    expect(await readdir(target)).toEqual(['out.gguf']);
    expect(await readFile(output, 'utf8')).toBe('old');
  });
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
