import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Comparison } from '../../lib/compare/compare.js';
import { modelFile, picture } from '../files.js';
import { GgufFile } from '../gguf-file.js';
import { plainPhi3 } from '../golden/plain-phi3.js';
import { runCli } from './run.js';
import { CliSession } from './session.js';

const F32 = modelFile('tiny-f32');
const F16 = modelFile('tiny-f16');
const ONE_THREAD = ['--threads', '1'];

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'xgen-mm-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function write(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

function writeModel(name: string, edit: (file: GgufFile) => void): string {
  const file = GgufFile.read(F32).clone();
  edit(file);
  return write(name, file.serialise().bytes);
}

async function compare(a: string, b: string, ...args: string[]): Promise<Comparison> {
  const { code, stdout, stderr } = await runCli(['compare', a, b, '--json', ...ONE_THREAD, ...args]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toMatch(/^\{.*\}\n$/);
  return JSON.parse(stdout);
}

async function expectFailure(args: string[], message: RegExp, code: string): Promise<void> {
  const run = await runCli(['compare', ...args, ...ONE_THREAD]);
  expect([run.code, run.stdout]).toEqual([1, '']);
  expect(run.stderr).toMatch(/^xgen-mm: [^\n]+\n$/);
  expect(run.stderr).toMatch(message);
  expect(run.stderr).toContain(`(${code})`);
}

describe('two files', () => {
  test('that are equal are nothing apart', async () => {
    const { divergence, embeddings, perplexity, layers } = await compare(F16, F16);
    const same = { mean: 0, median: 0, percentile99: 0, sameTop: 1 };
    expect(divergence).toMatchObject({ all: same, texts: same, pictures: same });
    expect(embeddings).toMatchObject({
      pictures: 3,
      meanCosine: 1,
      minCosine: 1,
      minPictureCosine: 1,
      relativeError: 0,
    });
    expect(perplexity?.a).toBe(perplexity?.b);
    expect(layers).toEqual([0, 0, 0, 0]);
  });

  test('that differ in their rounding are close', async () => {
    const { files, divergence, embeddings, perplexity, layers } = await compare(F32, F16);
    expect(files).toEqual({
      a: { path: F32, bytes: readFileSync(F32).length },
      b: { path: F16, bytes: readFileSync(F16).length },
    });
    const { all, texts, pictures } = divergence;
    expect(all.positions).toBe((texts?.positions ?? 0) + (pictures?.positions ?? 0));
    for (const part of [all, texts, pictures]) {
      expect(part?.mean).toBeGreaterThan(0);
      expect(part?.mean).toBeLessThan(1e-3);
      expect(part?.median).toBeLessThan(part?.percentile99 as number);
      expect(part?.sameTop).toBeGreaterThan(0.99);
    }
    expect(embeddings?.minCosine).toBeGreaterThan(0.99999);
    expect(embeddings?.minCosine).toBeLessThan(1);
    expect((perplexity?.a ?? 0) / (perplexity?.b ?? 0)).toBeCloseTo(1, 2);
    expect(layers).toHaveLength(4);
    expect(Math.min(...layers)).toBeGreaterThan(0);
  });

  test('that are different models are far apart', async () => {
    const shuffled = writeModel('shuffled.gguf', (file) => {
      file.tensor('output.weight').data = Buffer.from(file.tensor('output.weight').data).reverse();
    });
    const { divergence, layers } = await compare(F32, shuffled, '--text', write('few.txt', 'A few words.'));
    expect(divergence.all.mean).toBeGreaterThan(0.1);
    // Only the head is another.
    expect(layers).toEqual([0, 0, 0, 0]);
  }, 120_000);

  test('are a table for people, and nothing else is said', async () => {
    const { code, stdout, stderr } = await runCli(['compare', F32, F16, ...ONE_THREAD]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain(`a  ${F32}\nb  ${F16}\n`);
    expect(stdout).toMatch(/^size +2\.92 MB +1\.49 MB, 50\.8 % of a$/m);
    expect(stdout).toMatch(/^perplexity, \d+ tokens( +[\d.]+){2}$/m);
    expect(stdout).toMatch(/^all +\d+( +\d\.\d{3}e-\d){3} +\d+\.\d\d %$/m);
    expect(stdout).toMatch(/^3 pictures, \d+ rows +1\.000000 +1\.000000 +1\.000000 +0\.0\d\d %$/m);
    expect(stdout).toMatch(/\n {0,2}0\.0\d %( {2}0\.\d\d %){3}\n$/);
  });

  test('are a plot, which appears when it is complete', async () => {
    const plots = join(folder, 'plots');
    mkdirSync(plots);
    await compare(F32, F16, '--plot', join(plots, 'cost.svg'));
    expect(readdirSync(plots)).toEqual(['cost.svg']);
    const svg = readFileSync(join(plots, 'cost.svg'), 'utf8');
    expect(svg).toMatch(/^<svg .*<\/svg>\n$/s);
    expect(svg).toContain('tiny-f16.gguf against tiny-f32.gguf');
    expect(svg).not.toMatch(/NaN|Infinity/);
  });
});

describe('samples', () => {
  test('texts are cut into passages, and each token but the first of a passage is scored', async () => {
    const text = write('long.txt', 'ab '.repeat(600));
    const { divergence, perplexity, curves, embeddings } = await compare(F32, F32, '--text', text);
    const { positions } = divergence.all;
    expect(positions).toBeGreaterThan(512);
    expect(divergence.texts).toEqual(divergence.all);
    expect(divergence.pictures).toBeUndefined();
    expect(embeddings).toBeUndefined();
    expect(perplexity?.tokens).toBe(positions - Math.ceil(positions / 512));
    expect(curves.texts.at(-1)?.position).toBeLessThan(512);
  });

  test('perplexity is that of the probabilities', async () => {
    const text = write('one.txt', 'a b c');
    const { perplexity } = await compare(F32, F32, '--text', text);
    const { loadModel } = await import('../../lib/index.js');
    const model = await loadModel(F32, { threads: 1 });
    const { tokens, logits, vocabSize } = await model.logits('a b c');
    await model.dispose();
    let sum = 0;
    for (let i = 0; i + 1 < tokens.length; i++) {
      const row = logits.subarray(i * vocabSize, (i + 1) * vocabSize);
      const all = row.reduce((total, logit) => total + Math.exp(logit), 0);
      sum -= Math.log(Math.exp(row[tokens[i + 1] as number] as number) / all);
    }
    expect(perplexity?.tokens).toBe(tokens.length - 1);
    expect(perplexity?.a).toBeCloseTo(Math.exp(sum / (tokens.length - 1)), 3);
  });

  test('a text of one token has distributions, but nothing to predict', async () => {
    const base = modelFile('tiny_base-f32');
    const args = ['--text', write('token.txt', 'the'), '--plot', join(folder, 'token.svg')];
    const { divergence, perplexity } = await compare(base, base, ...args);
    expect(divergence.all.positions).toBe(1);
    expect(perplexity).toBeUndefined();
    expect(readFileSync(join(folder, 'token.svg'), 'utf8')).not.toMatch(/NaN|Infinity/);
  });

  test('pictures are files and folders with pictures', async () => {
    const pictures = join(folder, 'pictures');
    mkdirSync(join(pictures, 'deeper'), { recursive: true });
    await copyFile(picture(), join(pictures, 'b.PNG'));
    await copyFile(picture('07_grey'), join(pictures, 'a.png'));
    await copyFile(picture(), join(pictures, 'deeper', 'c.png'));
    writeFileSync(join(pictures, 'notes.txt'), 'no picture');
    const { embeddings, divergence, perplexity } = await compare(F32, F16, '--images', pictures, picture());
    expect(embeddings?.pictures).toBe(3);
    expect(divergence.texts).toBeUndefined();
    expect(divergence.pictures?.positions).toBeGreaterThan(embeddings?.rows as number);
    expect(perplexity).toBeUndefined();
  });

  test('a text-only model is compared by texts', async () => {
    const plain = write('plain.gguf', plainPhi3().serialise().bytes);
    const { code, stdout, stderr } = await runCli(['compare', plain, plain, '--json', ...ONE_THREAD]);
    expect(code).toBe(0);
    expect(stderr).toBe(`Note: ${plain} is a text-only model: pictures are left out.\n`);
    const { divergence, embeddings } = JSON.parse(stdout);
    expect(divergence.all).toMatchObject({ mean: 0, sameTop: 1 });
    expect(embeddings).toBeUndefined();
    await expectFailure(
      [plain, plain, '--images', picture()],
      /Expected a model with a vision part for --images/,
      'ERR_XGENMM_MODEL_UNSUPPORTED',
    );
  });
});

describe('what cannot be compared', () => {
  test('models of other shapes', async () => {
    await expectFailure(
      [F32, modelFile('wide-f32')],
      /Expected 3 layers as in .*, received 2 in .*made of the same checkpoint/,
      'ERR_XGENMM_INVALID_ARGUMENT',
    );
  });

  test('models whose tokens mean something else', async () => {
    const other = writeModel('other-tokens.gguf', (file) => {
      const { items } = file.value('tokenizer.ggml.tokens');
      const last = items.findLastIndex((item) => item.length === 8 + 3);
      items[last] = Buffer.from(items[last] as Buffer).fill('~', 8);
    });
    await expectFailure(
      [F32, other],
      /the vocabulary of .*, received another one of the same size/,
      'ERR_XGENMM_INVALID_ARGUMENT',
    );
  });

  test('a file without a language model', async () => {
    const { values, tensors } = GgufFile.read(F32);
    const part = new GgufFile(
      values.filter(({ key }) => !/^(phi3|tokenizer)\./.test(key)),
      tensors.filter(({ name }) => /^(v|resampler)\./.test(name)),
    ).setString('general.architecture', 'clip');
    const vision = write('vision.gguf', part.serialise().bytes);
    await expectFailure([F32, vision], /holds just the vision part/, 'ERR_XGENMM_MODEL_UNSUPPORTED');
  });

  test('a file that is none, or is not there', async () => {
    const broken = write('broken.gguf', readFileSync(F16).subarray(0, 5000));
    await expectFailure([F32, broken], /broken\.gguf/, 'ERR_XGENMM_MODEL_INVALID');
    await expectFailure([join(folder, 'absent.gguf'), F32], /absent/, 'ERR_XGENMM_FILE_NOT_FOUND');
  });

  test('a model that gives no numbers', async () => {
    const damaged = writeModel('nan.gguf', (file) => {
      const bias = file.tensor('output.bias');
      bias.data = Buffer.from(bias.data);
      bias.data.writeFloatLE(Number.NaN, 40);
    });
    await expectFailure(
      [F32, damaged],
      /Expected finite logits of .*nan\.gguf, received NaN at position 0 of text 1/,
      'ERR_XGENMM_MODEL_INVALID',
    );
  });
});

describe('samples that cannot be used', () => {
  const invalid = 'ERR_XGENMM_INVALID_ARGUMENT';
  const absent = 'ERR_XGENMM_FILE_NOT_FOUND';
  test.each<[string, () => string[], RegExp, string]>([
    ['an empty text', () => ['--text', write('empty.txt', '')], /some text.*is empty/, invalid],
    ['blanks', () => ['--text', write('blank.txt', ' \n\t\n')], /some text.*is empty/, invalid],
    ['a picture as text', () => ['--text', picture()], /text in UTF-8.*--images/, invalid],
    ['bytes of zero', () => ['--text', write('zero.txt', 'a\0b')], /text in UTF-8/, invalid],
    [
      'a text that is not there',
      () => ['--text', join(folder, 'none.txt')],
      /none\.txt, received ENOENT/,
      absent,
    ],
    ['a folder as text', () => ['--text', folder], /readable text file/, absent],
    [
      'a picture that is not there',
      () => ['--images', join(folder, 'none.png')],
      /none\.png, received ENOENT/,
      absent,
    ],
    [
      'a text as picture',
      () => ['--images', write('text.png', 'no picture')],
      /text\.png/,
      'ERR_XGENMM_IMAGE_DECODE',
    ],
    [
      'a huge text',
      () => {
        const path = write('huge.txt', 'x');
        truncateSync(path, 2 ** 40);
        return ['--text', path];
      },
      /at most 4194304 bytes.*which has 1099511627776: take a part/,
      invalid,
    ],
    [
      'a folder without pictures',
      () => {
        mkdirSync(join(folder, 'bare'));
        return ['--images', join(folder, 'bare')];
      },
      /a folder with pictures.*has none/,
      invalid,
    ],
  ])('%s', async (_, args, message, code) => {
    await expectFailure([F32, F16, ...args()], message, code);
  });

  test('a plot that cannot be written is known before any work', async () => {
    await expectFailure(
      [F32, F16, '--plot', join(folder, 'no', 'such', 'folder.svg')],
      /create a file/,
      'ERR_XGENMM_WRITE_FAILED',
    );
  });

  test('a plot in the place of a model', async () => {
    const model = write('model.gguf', readFileSync(F16));
    await expectFailure(
      [F32, model, '--plot', join(folder, '.', 'model.gguf')],
      /an output beside what is read/,
      'ERR_XGENMM_INVALID_ARGUMENT',
    );
    expect(readFileSync(model).equals(readFileSync(F16))).toBe(true);
  });

  test('a plot in the place of a picture of the folder named', async () => {
    const pictures = join(folder, 'drawings');
    mkdirSync(pictures);
    const drawing = write(join('drawings', 'drawing.svg'), '<svg xmlns="http://www.w3.org/2000/svg"/>');
    await expectFailure(
      [F32, F16, '--images', pictures, '--plot', drawing],
      /an output beside what is read/,
      'ERR_XGENMM_INVALID_ARGUMENT',
    );
  });

  test('wrong usage', async () => {
    for (const args of [['compare'], ['compare', F32], ['compare', F32, F16, '--image', 'x']]) {
      const { code, stdout, stderr } = await runCli(args);
      expect([code, stdout]).toEqual([2, '']);
      expect(stderr).toContain('xgen-mm compare --help');
    }
  });
});

// On Windows a signal ends the process at once.
test.skipIf(process.platform === 'win32')('Ctrl-C ends it with 130 and leaves no file', async () => {
  const target = join(folder, 'interrupted');
  mkdirSync(target);
  const text = write('endless.txt', 'word '.repeat(500_000));
  const plot = ['--plot', join(target, 'cost.svg')];
  const session = new CliSession(['compare', F32, F16, '--text', text, ...plot, ...ONE_THREAD]);
  while (readdirSync(target).length === 0) await setTimeout(5);
  await setTimeout(500);
  session.interrupt();
  expect(await session.ended).toEqual({ code: 130, stdout: '', stderr: '' });
  expect(readdirSync(target)).toEqual([]);
});
