import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadAddon } from '../../lib/addon.js';
import { Engine } from '../../lib/engine.js';
import { type Answer, type Content, type EncodedImage, loadModel, type Model } from '../../lib/index.js';
import { createModel } from '../../lib/load.js';
import { toNativeOptions } from '../../lib/sampling.js';
import { failure } from '../failure.js';
import { modelFile } from '../files.js';
import { TINY_ALONE } from '../load-options.js';
import { expectNoUnhandledRejections } from '../unit/rejections.js';
import { type GoldenCase, goldenCases } from './golden-case.js';
import { RecordingAddon } from './recording-addon.js';
import { expectClose, F16, F32 } from './tolerance.js';

expectNoUnhandledRejections();

const CASES = new Map(goldenCases('cases').map((golden) => [golden.name, golden]));
/** `<image>` and `<|end|>` in the vocabulary that all fixtures share. */
const IMAGE_TOKEN = 612;
const END_TOKEN = 607;

function golden(name: string): GoldenCase {
  const found = CASES.get(name);
  if (found === undefined) throw new Error(`no case ${name}`);
  return found;
}

describe('requests at the same time', () => {
  const names = [
    '01_square',
    '02_very_wide',
    '07_grey',
    '09_two_images_one_turn',
    '11_text_only_chat',
    '13_long_prompt',
  ];
  let model: Model;
  beforeAll(async () => {
    model = await loadModel(modelFile('tiny-f32'), { threads: 1, maxSequences: 3 });
  });
  afterAll(() => model.dispose());

  const answer = (name: string): Promise<Answer> =>
    model.complete(golden(name).rawContent(), { parseSpecial: true, maxTokens: 24 });

  test('answers are those of requests alone', async () => {
    const answers = await Promise.all([...names, ...names.toReversed()].map(answer));
    const expected = [...names, ...names.toReversed()].map((name) => golden(name).answer);
    expect(answers.map(({ tokens }) => [...tokens])).toEqual(expected);
  });

  test('chats that take turns keep apart', async () => {
    const chats = names.slice(0, 3).map((name) => ({ chat: model.chat(), golden: golden(name) }));
    const answers = await Promise.all(
      chats.map(({ chat, golden }) => chat.ask(golden.question() ?? '', { maxTokens: 24 })),
    );
    expect(answers.map(({ tokens }) => [...tokens])).toEqual(chats.map(({ golden }) => golden.answer));
  });

  test('pictures do not mix', async () => {
    const pictures = ['01_square', '02_very_wide', '03_very_tall', '06_rgba'].map((name) =>
      golden(name).picture(0),
    );
    const alone: EncodedImage[] = [];
    for (const picture of pictures) alone.push(await model.encodeImage(picture));
    expect(await Promise.all(pictures.map((picture) => model.encodeImage(picture)))).toEqual(alone);
    // In one prompt, in that order and in reverse, as files and encoded before.
    for (const order of [
      [0, 1, 2, 3],
      [3, 2, 1, 0],
    ]) {
      const content = (images: (typeof pictures)[number][]): Content =>
        images.flatMap((image) => ['\n', { image }, 'What is it?']);
      const fromFiles = await model.logits(content(order.map((i) => pictures[i] as string)));
      const encoded = await model.logits(content(order.map((i) => alone[i] as EncodedImage)));
      expect(encoded).toEqual(fromFiles);
    }
  });
});

test('a JPEG file is decoded as the reference does, to a level or two', async () => {
  const jpeg = golden('05_large_jpeg');
  const model = await loadModel(modelFile('tiny-f32'), { threads: 1 });
  const { embeddings } = await model.encodeImage(jpeg.pictureFile(0));
  expectClose(embeddings, jpeg.floats('vision_tokens'), F16.vision);
  await model.dispose();
});

test('the number of threads changes no bit', async () => {
  const results = [1, 2].map(async (threads) => {
    const model = await loadModel(modelFile('tiny-f32'), { threads });
    const { logits } = await model.logits('the narrow harbour');
    await model.dispose();
    return logits;
  });
  const [one, two] = await Promise.all(results);
  expect(two).toEqual(one);
});

describe('few-shot with the base model', () => {
  const fewShot = golden('14_base_few_shot');
  let model: Model;
  beforeAll(async () => {
    model = await loadModel(modelFile('tiny_base-f32'), { threads: 1 });
  });
  afterAll(() => model.dispose());

  /** Pictures, texts and end-of-chunk tokens as parts: nothing is parsed. */
  function content(): Content {
    const [first = '', second = '', third = ''] = fewShot.json.prompt
      .split(/<image>(?:<image placeholder>)*/)
      .slice(1)
      .map((text) => text.replace('<|endofchunk|>', ''));
    const [a, b, c] = [0, 1, 2].map((k) => ({ image: fewShot.picture(k) }));
    const end = { special: '<|endofchunk|>' };
    return [a, first, end, b, second, end, c, third] as Content;
  }

  test('the parts make the prompt', async () => {
    const { tokens, logits } = await model.logits(content(), { last: 8 });
    expect(tokens).toEqual(fewShot.ints('merged_ids'));
    expectClose(logits, fewShot.floats('logits_last'), F32.logits);
  });

  test('greedy, and with a repetition penalty', async () => {
    const { repetition_penalty: repetitionPenalty, greedy_ids_with_penalty } = fewShot.json;
    const plain = await model.complete(content(), { maxTokens: 24 });
    expect([...plain.tokens]).toEqual(fewShot.answer);
    const penalised = await model.complete(content(), { maxTokens: 24, repetitionPenalty });
    expect([...penalised.tokens]).toEqual(greedy_ids_with_penalty);
    expect(greedy_ids_with_penalty).not.toEqual(fewShot.answer);
  });

  test('the text of a special token is text', async () => {
    const typed = await model.countTokens('<|endofchunk|>');
    expect(typed).toBeGreaterThan(1);
    expect(await model.countTokens([{ special: '<|endofchunk|>' }])).toBe(1);
    expect(await model.countTokens('<|endofchunk|>', { parseSpecial: true })).toBe(1);
  });

  test('it has no chat', () => {
    expect(() => model.chat()).toThrow(failure('ERR_XGENMM_MODEL_UNSUPPORTED', /base model.*complete/));
  });

  test('style and mode can be chosen at load: the instruct file reads the prompt like the base file', async () => {
    const options = { tokenizerStyle: 'fast', imageMode: 'squash', threads: 1 } as const;
    const instruct = await loadModel(modelFile('tiny-f32'), options);
    expect(await instruct.logits(content())).toEqual(await model.logits(content()));
    await instruct.dispose();
  });
});

describe('a chat of two turns', () => {
  const twoTurns = golden('10_two_turns');
  const questions: Content[] = [0, 1].map((k) => [
    { image: twoTurns.picture(k) },
    k === 0 ? 'What is in this picture?' : 'And in this one?',
  ]);
  const addon = new RecordingAddon();
  let model: Model;
  beforeAll(async () => {
    model = await createModel(addon, modelFile('tiny-f32'), { threads: 1 });
  });
  afterAll(() => model.dispose());

  test('the second turn continues the first', async () => {
    const chat = model.chat();
    const first = await chat.ask(questions[0] as Content, { maxTokens: 12 });
    const second = await chat.ask(questions[1] as Content, { maxTokens: 24 });
    const [before, whole] = addon.prompts;
    if (before === undefined || whole === undefined) throw new Error('two prompts');

    // The golden prompt has another first answer, between the second and the third <|end|>; the rest is the same.
    const expected = twoTurns.promptTokens(IMAGE_TOKEN);
    const [, , third = 0] = [...expected.keys()].filter((i) => expected[i] === END_TOKEN);
    expect(before.tokens).toEqual(expected.subarray(0, before.tokens.length));
    expect([...whole.tokens]).toEqual([...before.tokens, ...first.tokens, ...expected.subarray(third)]);
    expect(second.usage.imageTokens).toBe(72);
    // The last token of an answer is never run, hence not cached.
    expect(second.usage.cachedTokens).toBe(first.usage.promptTokens + first.tokens.length - 1);

    const engine = await Engine.load(loadAddon(), TINY_ALONE);
    const greedy = toNativeOptions({ maxTokens: 24, seed: 0 }, engine.info, 'the test');
    const fresh = await engine.generate(whole, greedy, () => {});
    expect(fresh).toMatchObject({ cachedTokens: 0, tokens: second.tokens, text: second.text });
    await engine.dispose();
  });
});
