import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readImportance } from '../../lib/convert/importance-file.js';
import { modelFile, picture } from '../files.js';
import { GgufFile } from '../gguf-file.js';
import { plainPhi3 } from '../golden/plain-phi3.js';
import { runCli } from './run.js';
import { CliSession } from './session.js';

const MODEL = modelFile('tiny-f32');
const ONE_THREAD = ['--threads', '1'];

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'xgen-mm-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

async function collect(name: string, ...args: string[]): Promise<Map<string, Float32Array>> {
  const output = join(folder, name);
  const run = await runCli(['imatrix', MODEL, output, ...ONE_THREAD, ...args]);
  expect(run).toEqual({ code: 0, stdout: '', stderr: '' });
  return readImportance(output);
}

/** Weights that something is multiplied with: what a quantisation may store in few bits. */
function matrices(pattern: RegExp): string[] {
  return GgufFile.read(MODEL)
    .tensors.filter(({ name, shape }) => shape.length === 2 && pattern.test(name))
    .map(({ name }) => name)
    .filter((name) => !/token_embd|position_embd|latents/.test(name));
}

test('all weights are met by the default samples, with a value for each column', async () => {
  const importance = await collect('default.imatrix');
  const { tensors } = GgufFile.read(MODEL);
  for (const name of matrices(/weight$/)) {
    const values = importance.get(name);
    expect([name, values?.length]).toEqual([name, tensors.find((tensor) => tensor.name === name)?.shape[0]]);
    expect(values?.some((value) => value > 0)).toBe(true);
  }
});

test('a text alone meets the language model alone, and says how many tokens there were', async () => {
  const text = join(folder, 'notes.txt');
  writeFileSync(text, 'Some words to read. '.repeat(60));
  const importance = await collect('text.imatrix', '--text', text);
  expect([...importance.keys()].toSorted()).toEqual(matrices(/^(blk|output)\./).toSorted());

  const file = GgufFile.read(join(folder, 'text.imatrix'));
  expect(file.u32('imatrix.chunk_count')).toBeGreaterThan(1);
  // A path says more about a machine than others should know.
  expect(file.value('imatrix.datasets').items.map((item) => item.subarray(8).toString())).toEqual([
    'notes.txt',
  ]);
  const { loadModel } = await import('../../lib/index.js');
  const model = await loadModel(MODEL, { threads: 1 });
  const tokens = model.tokenize(readFileSync(text, 'utf8')).length;
  await model.dispose();
  for (const name of ['blk.0.attn_qkv.weight', 'blk.2.ffn_down.weight', 'output.weight']) {
    expect([name, file.tensor(`${name}.counts`).data.readFloatLE()]).toEqual([name, tokens]);
  }
});

test('the same samples give the same file', async () => {
  const args = ['--images', picture()];
  await collect('first.imatrix', ...args);
  await collect('second.imatrix', ...args);
  const [first, second] = ['first', 'second'].map((name) => readFileSync(join(folder, `${name}.imatrix`)));
  expect(first?.equals(second as Buffer)).toBe(true);
});

test('what goes wrong is one line with its code, and no file is left', async () => {
  const output = join(folder, 'none.imatrix');
  const plain = join(folder, 'plain.gguf');
  writeFileSync(plain, plainPhi3().serialise().bytes);
  const pictures = join(folder, 'pictures');
  mkdirSync(pictures);
  copyFileSync(picture(), join(pictures, 'first.png'));
  const before = readdirSync(folder);
  for (const [args, code] of [
    [[join(folder, 'absent.gguf'), output], 'ERR_XGENMM_FILE_NOT_FOUND'],
    [[MODEL, output, '--text', join(folder, 'absent.txt')], 'ERR_XGENMM_FILE_NOT_FOUND'],
    [[MODEL, output, '--images', plain], 'ERR_XGENMM_IMAGE_DECODE'],
    [[plain, output, '--images', picture()], 'ERR_XGENMM_MODEL_UNSUPPORTED'],
    [[MODEL, folder], 'ERR_XGENMM_WRITE_FAILED'],
    [[MODEL, join(folder, 'no', 'folder.imatrix')], 'ERR_XGENMM_WRITE_FAILED'],
    [[plain, plain], 'ERR_XGENMM_INVALID_ARGUMENT'],
    [[MODEL, join(pictures, 'first.png'), '--images', pictures], 'ERR_XGENMM_INVALID_ARGUMENT'],
    [[MODEL, output, '--text', pictures], 'ERR_XGENMM_FILE_NOT_FOUND'],
  ] as const) {
    const { code: exit, stdout, stderr } = await runCli(['imatrix', ...args, ...ONE_THREAD]);
    expect([exit, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(new RegExp(`^xgen-mm: [^\\n]+ \\(${code}\\)\\n$`));
    expect(readdirSync(folder)).toEqual(before);
  }
});

// On Windows a signal ends the process at once.
test.skipIf(process.platform === 'win32')('Ctrl-C ends it with 130 and leaves the old file', async () => {
  const target = join(folder, 'interrupted');
  mkdirSync(target);
  const output = join(target, 'model.imatrix');
  writeFileSync(output, 'old');
  const text = join(folder, 'endless.txt');
  writeFileSync(text, 'word '.repeat(500_000));
  const session = new CliSession(['imatrix', MODEL, output, '--text', text, ...ONE_THREAD]);
  while (readdirSync(target).length === 1) await setTimeout(5);
  await setTimeout(500);
  session.interrupt();
  expect(await session.ended).toEqual({ code: 130, stdout: '', stderr: '' });
  expect(readdirSync(target)).toEqual(['model.imatrix']);
  expect(readFileSync(output, 'utf8')).toBe('old');
});
