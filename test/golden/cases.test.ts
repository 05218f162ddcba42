import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AnswerStream, Model } from '../../lib/index.js';
import { createModel } from '../../lib/load.js';
import { modelFile } from '../files.js';
import { expectNoUnhandledRejections } from '../unit/rejections.js';
import { decodeHex, goldenCases } from './golden-case.js';
import { RecordingAddon } from './recording-addon.js';
import { expectClose, F16, F32 } from './tolerance.js';

expectNoUnhandledRejections();

const TINY = goldenCases('cases');
const FEW_SHOT = TINY.filter(({ json }) => json.tokenizer_style === 'fast');
const INSTRUCT = TINY.filter(({ json }) => json.tokenizer_style === 'slow');
const WIDE = goldenCases('wide', 'cases', 'wide');
const WIDE_GQA = goldenCases('wide', 'cases', 'wide-gqa');
/** `<image>` in the vocabulary that all fixtures share. */
const IMAGE_TOKEN = 612;

describe.each([
  { file: 'tiny-f32', cases: INSTRUCT, tolerance: F32 },
  { file: 'tiny-f16', cases: INSTRUCT, tolerance: F16 },
  { file: 'tiny_f32-f32', cases: INSTRUCT, tolerance: F32 },
  { file: 'tiny_json-f32', cases: INSTRUCT, tolerance: F32 },
  { file: 'tiny_base-f32', cases: FEW_SHOT, tolerance: F32 },
  { file: 'tiny_base-f16', cases: FEW_SHOT, tolerance: F16 },
  { file: 'wide-f32', cases: WIDE, tolerance: F32 },
  { file: 'wide-f16', cases: WIDE, tolerance: F16 },
  { file: 'wide-gqa-f32', cases: WIDE_GQA, tolerance: F32 },
  { file: 'wide-gqa-f16', cases: WIDE_GQA, tolerance: F16 },
])('$file', ({ file, cases, tolerance }) => {
  const addon = new RecordingAddon();
  let model: Model;
  beforeAll(async () => {
    model = await createModel(addon, modelFile(file), { threads: 1 });
  });
  afterAll(() => model.dispose());

  test.each(cases.filter(({ json }) => json.images.length > 0))('$name: pictures', async (golden) => {
    const expected = golden.floats('vision_tokens');
    const [, latents = 0] = golden.shape('vision_tokens');
    let start = 0;
    for (const [k, info] of golden.json.images.entries()) {
      const encoded = await model.encodeImage(golden.picture(k), { mode: golden.mode });
      const end = start + encoded.embeddings.length;
      expectClose(encoded.embeddings, expected.subarray(start, end), tolerance.vision);
      expect(encoded).toMatchObject({
        tokenCount: info.tiles * latents,
        width: model.info.width,
        mode: golden.mode,
        tiles: { columns: info.grid_cols ?? 0, rows: info.grid_rows ?? 0 },
      });
      start = end;
    }
    expect(start).toBe(expected.length);
  });

  test.each(cases)('$name: tokens and logits', async (golden) => {
    const expected = golden.floats('logits_last');
    const last = expected.length / model.info.vocabSize;
    const result = await model.logits(golden.rawContent(), { parseSpecial: true, last });
    expect(result.tokens).toEqual(golden.ints('merged_ids'));
    expectClose(result.logits, expected, tolerance.logits);
    expect(await model.countTokens(golden.rawContent(), { parseSpecial: true })).toBe(golden.json.positions);
  });

  test.each(cases)('$name: greedy answer', async (golden) => {
    const options = { parseSpecial: true, maxTokens: golden.json.greedy_ids.length };
    await expectAnswer(model.stream(golden.rawContent(), options), golden);
    expect(addon.prompts.at(-1)?.tokens).toEqual(rawTokens(golden));
    expect(model.detokenize(golden.answer)).toBe(golden.answerText);
    expect(model.detokenize(golden.json.greedy_ids)).toBe(decodeHex(golden.json.text_hex_all));
  });

  const questions = cases.filter((golden) => golden.question() !== undefined);
  test.each(questions)('$name: the same through a chat', async (golden) => {
    for (const question of [golden.question(), golden.question('\n')]) {
      const stream = model.chat().stream(question ?? '', { maxTokens: golden.json.greedy_ids.length });
      await expectAnswer(stream, golden);
      expect(addon.prompts.at(-1)?.tokens).toEqual(golden.promptTokens(IMAGE_TOKEN));
    }
  });
});

test('most cases are chats', () => {
  const names = INSTRUCT.filter((golden) => golden.question() === undefined).map(({ name }) => name);
  expect(names).toEqual(['09_two_images_one_turn', '10_two_turns', '12_text_only_raw_short']);
});

/** The merged ids with each picture's positions drawn together. */
function rawTokens(golden: (typeof TINY)[number]): Int32Array {
  return golden.ints('merged_ids').filter((id, i, ids) => id >= 0 || ids[i - 1] !== id);
}

async function expectAnswer(stream: AnswerStream, golden: (typeof TINY)[number]): Promise<void> {
  let streamed = '';
  for await (const piece of stream) streamed += piece;
  const answer = await stream.answer();
  expect([...answer.tokens]).toEqual(golden.answer);
  expect(answer.text).toBe(golden.answerText);
  expect(streamed).toBe(golden.answerText);
  expect(answer.finishReason).toBe(golden.json.first_stop_index === null ? 'length' : 'stop');
  expect(answer.usage).toMatchObject({
    promptTokens: golden.json.positions,
    imageTokens: golden.ints('merged_ids').filter((id) => id < 0).length,
    completionTokens: golden.answer.length,
  });
}
