import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Content, loadModel, type Model } from '../../lib/index.js';
import { failure } from '../failure.js';
import { modelFile, picture } from '../files.js';
import { GgufFile } from '../gguf-file.js';
import { expectNoUnhandledRejections } from '../unit/rejections.js';
import { plainPhi3 } from './plain-phi3.js';
import { expectClose } from './tolerance.js';

expectNoUnhandledRejections();

/** Rounding of one addition: everything before the bias is the same arithmetic. */
const ROUNDING = { absolute: 1e-5, relative: 1e-6 };
const TEXT = 'Compare the narrow harbour with a quiet orchard, then describe déjà vu – in 47 words.';

let folder: string;
let written = 0;
let whole: Model;
let bias: Float32Array;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'xgen-mm-'));
  whole = await loadModel(modelFile('tiny-f32'), { tokenizerStyle: 'fast', threads: 1 });
  const { data } = GgufFile.read(modelFile('tiny-f32')).tensor('output.bias');
  bias = new Float32Array(new Uint8Array(data).buffer).subarray(0, whole.info.vocabSize);
});
afterAll(async () => {
  await whole.dispose();
  rmSync(folder, { recursive: true });
});

function write(file: GgufFile): string {
  // A name of its own: a file that a model has mapped must not be overwritten.
  const path = join(folder, `${written++}.gguf`);
  writeFileSync(path, file.serialise().bytes);
  return path;
}

async function logitsOf(file: GgufFile, slidingWindow?: number): Promise<Float32Array> {
  const model = await loadModel(write(file), { threads: 1, slidingWindow });
  const { logits } = await model.logits(TEXT);
  await model.dispose();
  return logits;
}

/** tiny's logits less the bias of its head. */
async function expectUnbiased(model: Model, content: Content): Promise<void> {
  const biased = await whole.logits(content);
  const { tokens, logits } = await model.logits(content);
  expect(tokens).toEqual(biased.tokens);
  expectClose(
    logits,
    biased.logits.map((value, i) => value - (bias[i % bias.length] as number)),
    ROUNDING,
  );
}

describe('a phi3 file of llama.cpp', () => {
  let plain: Model;
  beforeAll(async () => {
    plain = await loadModel(write(plainPhi3()), { threads: 1 });
  });
  afterAll(() => plain.dispose());

  test('is a text-only model with a fast tokenizer', () => {
    expect(plain.info).toMatchObject({ variant: '', imageMode: undefined, tokenizerStyle: 'fast' });
  });

  test('has the same logits, but for the bias of the head', () => expectUnbiased(plain, TEXT));

  test('answers a chat without a system sentence', async () => {
    const chat = await plain.chat().ask('Describe a ladder.', { maxTokens: 8 });
    const prompt = '<|user|>\nDescribe a ladder.<|end|>\n<|assistant|>\n';
    const raw = await plain.complete(prompt, { parseSpecial: true, maxTokens: 8 });
    expect(chat.tokens).toEqual(raw.tokens);
    expect(chat.usage.promptTokens).toBe(raw.usage.promptTokens);
  });

  test('takes no pictures', async () => {
    const image = picture();
    const unsupported = failure('ERR_XGENMM_MODEL_UNSUPPORTED', /vision part.*text-only/);
    await expect(plain.encodeImage(image)).rejects.toEqual(unsupported);
    await expect(plain.complete([{ image }, 'x'])).rejects.toEqual(unsupported);
    await expect(plain.chat().ask([{ image }])).rejects.toEqual(unsupported);
    await expect(plain.countTokens([{ image }])).rejects.toEqual(unsupported);
  });
});

test('together with a vision part it sees', async () => {
  const model = await loadModel({ text: write(plainPhi3()), vision: modelFile('tiny-f32') }, { threads: 1 });
  expect(model.info).toMatchObject({ variant: '', imageMode: 'anyres' });
  await expectUnbiased(model, ['Describe ', { image: picture() }, 'in one sentence:']);
  await model.dispose();
});

test('a vision part of another width is refused', async () => {
  await expect(loadModel({ text: write(plainPhi3()), vision: modelFile('wide-f32') })).rejects.toEqual(
    failure('ERR_XGENMM_MODEL_INVALID', /768.*96/),
  );
});

test('a file without a head uses its embedding', async () => {
  const tied = plainPhi3();
  const untied = tied.clone();
  tied.tensors = tied.tensors.filter(({ name }) => name !== 'output.weight');
  untied.tensor('output.weight').data = untied.tensor('token_embd.weight').data;
  expect(await logitsOf(tied)).toEqual(await logitsOf(untied));
});

test.each(['rope_factors_long.weight', 'rope_factors_short.weight'])(
  '%s: long rope is refused',
  async (name) => {
    const file = plainPhi3();
    file.tensors.push({ name, shape: [16], type: 0, data: Buffer.alloc(64) });
    await expect(loadModel(write(file))).rejects.toEqual(
      failure('ERR_XGENMM_MODEL_UNSUPPORTED', /long-rope/),
    );
  },
);

test('the window is the key, none without it, or slidingWindow', async () => {
  const without = plainPhi3();
  without.values = without.values.filter(({ key }) => key !== 'phi3.attention.sliding_window');
  const windowed = await logitsOf(plainPhi3());
  const unlimited = await logitsOf(without);
  expect(unlimited).not.toEqual(windowed);
  expect(await logitsOf(without, 31)).toEqual(windowed);
  expect(await logitsOf(plainPhi3(), 0)).toEqual(unlimited);
});

test('another architecture is refused', async () => {
  const file = plainPhi3().setString('general.architecture', 'llama');
  await expect(loadModel(write(file))).rejects.toEqual(
    failure('ERR_XGENMM_MODEL_UNSUPPORTED', /phi3.*"llama"/),
  );
});
