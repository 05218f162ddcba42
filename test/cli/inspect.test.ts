import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { fixture, modelFile } from '../files.js';
import { GgufFile } from '../gguf-file.js';
import { plainPhi3 } from '../golden/plain-phi3.js';
import { runCli } from './run.js';

// Programs are started one after another, which a busy machine may take its time over.
vi.setConfig({ testTimeout: 300_000 });

const TINY = modelFile('tiny-f16');
const GROUPED = modelFile('wide-gqa-f16');

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'xgen-mm-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function write(name: string, bytes: Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

async function inspect(...args: string[]) {
  const { code, stdout, stderr } = await runCli(['inspect', ...args]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return stdout;
}

describe('xgen-mm inspect', () => {
  test('says what is in a file', async () => {
    const output = await inspect(GROUPED);
    expect(output).toMatch(/^model +instruct-interleave "wide-gqa", format version 1$/m);
    expect(output).toMatch(/^language model +2 layers, width 768, .*8 heads of 96, 2 for keys and values$/m);
    expect(output).toMatch(/^context +4096 positions, sliding window of 63$/m);
    expect(output).toMatch(/^tokenizer +style slow, 615 tokens, 18 of them added$/m);
    expect(output).toMatch(/^pictures +mode anyres; .*: 1x2 2x1 2x2 3x1 1x3$/m);
    expect(output).toMatch(/^answers +up to 1024 tokens, greedy, as its authors let it answer$/m);
    expect(output).toMatch(/^language model +f16 +10 .* 16\.00$/m);
    expect(output).toMatch(/^context +f32 +f16 \(default\) +q8_0$/m);
    expect(output).toMatch(/^4096( +\d+\.\d\d MB){3}$/m);
    expect(output).toMatch(/^weights, \d+\.\d\d MB to work in, and keys and values of 2 sequences$/m);
  });

  test('says how its authors let it answer, if the file does and makes sense', async () => {
    const file = GgufFile.read(GROUPED);
    const f32 = (value: number) => Buffer.from(Float32Array.of(value).buffer);
    file.set('xgenmm.generation.temperature', 6, f32(0.7));
    file.set('xgenmm.generation.repetition_penalty', 6, f32(1.5));
    const said = await inspect(write('said.gguf', file.serialise().bytes));
    expect(said).toMatch(/^answers +up to 1024 tokens, temperature 0\.70, repetition penalty 1\.50, as/m);
    for (const [type, bytes] of [
      [6, f32(Number.NaN)],
      [6, f32(-1)],
      [4, f32(1)],
    ] as const) {
      file.set('xgenmm.generation.temperature', type, bytes);
      const { code, stderr } = await runCli(['inspect', write('wrong.gguf', file.serialise().bytes)]);
      expect(code).toBe(1);
      expect(stderr).toMatch(/xgenmm\.generation\.temperature.*ERR_XGENMM_MODEL_INVALID/);
    }
    file.values = file.values.filter(({ key }) => !key.startsWith('xgenmm.generation.'));
    expect(await inspect(write('silent.gguf', file.serialise().bytes))).not.toMatch(/^answers/m);
  });

  test('takes a file URL as loading does', async () => {
    expect(await inspect(pathToFileURL(GROUPED).href)).toBe(await inspect(GROUPED));
  });

  test('--json is everything, in bytes', async () => {
    const report = JSON.parse(await inspect(GROUPED, '--json', '--context', '300', '--sequences', '3'));
    expect(report).toMatchObject({
      fileBytes: statSync(GROUPED).size,
      variant: 'instruct-interleave',
      sequences: 3,
      text: { heads: 8, kvHeads: 2, headSize: 96, window: 63, kvType: 'f16' },
      vision: { imageMode: 'anyres', tile: 76 },
      resampler: { latents: 16, outputWidth: 768 },
    });
    expect(report.workingBytes).toBeGreaterThan(2 ** 20);
    const weights = GgufFile.read(GROUPED).tensors.length;
    const sum = (pick: 'count' | 'bytes') =>
      report.tensors.reduce((total: number, group: Record<typeof pick, number>) => total + group[pick], 0);
    expect(sum('count')).toBe(weights);
    // 512 rows of 2 layers, keys and values, 2 heads of 96; q8_0 takes 34 bytes for 32 values.
    const values = 512 * 2 * 2 * 2 * 96;
    for (const { estimates } of report.memory) {
      expect(estimates).toEqual(
        [
          ['f32', 4],
          ['f16', 2],
          ['q8_0', 34 / 32],
        ].map(([kvType, size]) => ({
          contextSize: 300,
          kvType,
          kvBytes: 3 * values * (size as number),
          bytes: sum('bytes') + report.workingBytes + 3 * values * (size as number),
          fits: true,
        })),
      );
    }
    expect(report.memory[0]).toMatchObject({ device: 'CPU', totalBytes: expect.any(Number) });
  });

  test('marks what no device could hold', async () => {
    const file = GgufFile.read(TINY)
      .setU32('phi3.context_length', 2 ** 20)
      .setU32('phi3.attention.sliding_window', 0);
    const path = write('long.gguf', file.serialise().bytes);
    const args = ['--context', String(2 ** 20), '--sequences', '256'];
    const report = JSON.parse(await inspect(path, '--json', ...args));
    const [{ estimates, freeBytes }] = report.memory;
    const f32 = estimates.find(({ kvType }: { kvType: string }) => kvType === 'f32');
    expect(f32.fits).toBe(f32.bytes <= freeBytes);
    expect((await inspect(path, ...args)).includes('(!)')).toBe(!f32.fits);
  });

  test('a plain phi3 file has no vision part', async () => {
    const path = write('plain.gguf', plainPhi3().serialise().bytes);
    const report = JSON.parse(await inspect(path, '--json'));
    expect(report).toMatchObject({ architecture: 'phi3', formatVersion: 0, variant: '' });
    expect(report).not.toHaveProperty('vision');
    expect(await inspect(path)).toMatch(/^model +plain phi3/);
  });

  test('a vision part may stand alone', async () => {
    const { values, tensors } = GgufFile.read(TINY);
    const part = new GgufFile(
      values.filter(({ key }) => !/^(phi3|tokenizer)\./.test(key)),
      tensors.filter(({ name }) => /^(v|resampler)\./.test(name)),
    ).setString('general.architecture', 'clip');
    const path = write('vision.gguf', part.serialise().bytes);
    const report = JSON.parse(await inspect(path, '--json'));
    expect(report).not.toHaveProperty('text');
    expect(report.vision.imageMode).toBe('anyres');
    expect(await inspect(path)).toMatch(/^model +vision part alone/);
  });

  test('what a file says cannot drive the terminal', async () => {
    const file = GgufFile.read(TINY).setString('general.name', 'a\x1b[2J\nmodel  base\u202e\x9b');
    const path = write('hostile-name.gguf', file.serialise().bytes);
    for (const output of [await inspect(path), await inspect(path, '--json')]) {
      expect(output).not.toMatch(/[^\P{Control}\n]|\u202e/u);
    }
    expect(await inspect(path)).not.toMatch(/^model {2}base/m);
    expect(JSON.parse(await inspect(path, '--json')).name).toBe('a\x1b[2J\nmodel  base\u202e\x9b');
  });
});

describe('an unusable file is one line on stderr', () => {
  const bytes = () => readFileSync(TINY);
  const without = (pattern: RegExp) => {
    const file = GgufFile.read(TINY);
    file.tensors = file.tensors.filter(({ name }) => !pattern.test(name));
    return file.serialise().bytes;
  };
  const withoutKey = (name: string) => {
    const file = GgufFile.read(TINY);
    file.values = file.values.filter(({ key }) => key !== name);
    return file.serialise().bytes;
  };
  const cases: [string, () => string, string][] = [
    ['no file', () => join(folder, 'absent.gguf'), 'FILE_NOT_FOUND'],
    ['a folder', () => folder, 'FILE_NOT_FOUND'],
    ['an empty file', () => write('empty.gguf', new Uint8Array()), 'MODEL_INVALID'],
    ['no GGUF file', () => fixture('tiny', 'config.json'), 'MODEL_INVALID'],
    ['a truncated header', () => write('header.gguf', bytes().subarray(0, 1000)), 'MODEL_INVALID'],
    ['truncated weights', () => write('half.gguf', bytes().subarray(0, bytes().length / 2)), 'MODEL_INVALID'],
    ['no weights of a layer', () => write('layer.gguf', without(/^blk\.1\./)), 'MODEL_INVALID'],
    ['half a tower', () => write('tower.gguf', without(/^v\.blk\.1\./)), 'MODEL_INVALID'],
    ['no number of layers', () => write('key.gguf', withoutKey('phi3.block_count')), 'MODEL_INVALID'],
    [
      'too many layers',
      () =>
        write(
          'layers.gguf',
          GgufFile.read(TINY)
            .setU32('phi3.block_count', 2 ** 31)
            .serialise().bytes,
        ),
      'MODEL_INVALID',
    ],
    [
      'another architecture',
      () =>
        write('llama.gguf', plainPhi3().setString('general.architecture', 'll\x1b[0mama').serialise().bytes),
      'MODEL_UNSUPPORTED',
    ],
  ];
  test.each(cases)('%s', async (_, path, code) => {
    for (const flags of [[], ['--json']]) {
      const run = await runCli(['inspect', path(), ...flags]);
      expect({ code: run.code, stdout: run.stdout }).toEqual({ code: 1, stdout: '' });
      expect(run.stderr).toMatch(new RegExp(`^xgen-mm: \\P{Control}+ \\(ERR_XGENMM_${code}\\)\\n$`, 'u'));
    }
  });

  test('a context that the model does not have', async () => {
    const { code, stderr } = await runCli(['inspect', GROUPED, '--context', '4097']);
    expect(code).toBe(1);
    expect(stderr).toMatch(/4096.*4097 \(ERR_XGENMM_INVALID_ARGUMENT\)\n$/);
  });
});

test.each([[['--context', '0']], [['--sequences', '0']], [['--sequences', 'two']]])(
  'wrong usage: %j',
  async (flags) => {
    expect(await runCli(['inspect', GROUPED, ...flags])).toMatchObject({ code: 2, stdout: '' });
  },
);
