import { describe, expect, test } from 'vitest';
import { createModel, type LoadOptions } from '../../lib/load.js';
import type { NativeModelInfo } from '../../lib/native.js';
import { FakeAddon, SLOW_PREFIX, tick } from './fake-addon.js';
import { expectNoUnhandledRejections } from './rejections.js';

expectNoUnhandledRejections();

const picture = { data: Uint8Array.of(1, 2, 3), width: 1, height: 1, channels: 3 } as const;
const wide = { data: new Uint8Array(3 * 10), width: 10, height: 1, channels: 3 } as const;

async function setUp(info: Partial<NativeModelInfo> = {}, options: LoadOptions = {}) {
  const addon = new FakeAddon(info);
  return { addon, model: await createModel(addon, 'fake.gguf', options) };
}

describe('complete and stream', () => {
  test('the prompt is raw; specials are parsed on request only', async () => {
    const { addon, model } = await setUp();
    addon.answers = ['a', 'b'];
    await model.complete(['<image>', { image: picture }, { special: '<|endofchunk|>' }]);
    const typed = Array.from('<image>', (char) => char.charCodeAt(0));
    expect([...(addon.prompts[0]?.tokens ?? [])]).toEqual([SLOW_PREFIX, ...typed, -1, 32014]);
    const answer = await model.complete(['<image>', { image: picture }], { parseSpecial: true });
    expect([...(addon.prompts[1]?.tokens ?? [])]).toEqual([SLOW_PREFIX, 32012, -1]);
    expect(addon.prompts[1]?.images).toHaveLength(1);
    expect(answer.usage).toMatchObject({ promptTokens: 12, imageTokens: 10 });
  });

  test('timings add up over the pictures', async () => {
    const { addon, model } = await setUp();
    addon.answers = ['a'];
    const { timings } = await model.complete([{ image: picture }, { image: picture, mode: 'squash' }]);
    expect(timings).toMatchObject({ preprocess: 2, vision: 40, resample: 600, prefill: 7, generate: 9 });
    expect(timings.decode).toBeGreaterThan(0);
    expect(addon.encodes.map(({ mode }) => mode)).toEqual(['anyres', 'squash']);
  });
});

describe('pictures', () => {
  test('encodeImage gives plain data that any prompt takes', async () => {
    const { addon, model } = await setUp();
    const encoded = await model.encodeImage(picture);
    expect(addon.encodes[0]).toEqual({ pixels: picture.data, width: 1, height: 1, mode: 'anyres' });
    expect(encoded).toEqual({
      embeddings: new Float32Array(40).fill(1),
      tokenCount: 10,
      width: 4,
      tiles: { columns: 4, rows: 1 },
      mode: 'anyres',
    });
    addon.answers = ['a'];
    await model.complete([{ image: structuredClone(encoded) }, 'x']);
    expect(addon.encodes).toHaveLength(1);
    expect(addon.prompts[0]?.images).toEqual([encoded.embeddings]);
    expect(await model.encodeImage(encoded)).toEqual(encoded);
  });

  test('are taken as they are at the call', async () => {
    const { addon, model } = await setUp();
    const data = Uint8Array.of(1, 2, 3);
    const encoding = model.encodeImage({ data, width: 1, height: 1, channels: 3 });
    data.fill(9);
    const encoded = await encoding;
    expect(addon.encodes[0]?.pixels).toEqual(Uint8Array.of(1, 2, 3));

    addon.answers = ['a', 'b'];
    const chat = model.chat();
    await chat.ask([{ image: encoded }, 'x']);
    const before = addon.prompts[0]?.images[0]?.slice();
    const memory = encoded.embeddings.buffer as ArrayBuffer;
    structuredClone(memory, { transfer: [memory] });
    await chat.ask('y');
    expect(addon.prompts[1]?.images).toEqual([before]);
    await expect(model.encodeImage(encoded)).rejects.toMatchObject({ code: 'ERR_XGENMM_INVALID_ARGUMENT' });
  });

  test('of a prompt that cannot fit are not encoded', async () => {
    const { addon, model } = await setUp({ contextSize: 64 });
    const content = Array.from({ length: 7 }, () => ({ image: picture }));
    for (const asked of [model.complete(content), model.chat().ask(content), model.logits(content)]) {
      await expect(asked).rejects.toMatchObject({
        code: 'ERR_XGENMM_CONTEXT_OVERFLOW',
        message: expect.stringMatching(/takes \d+ positions, but the context holds 64/),
      });
    }
    expect(addon.encodes).toHaveLength(0);
  });

  test('of any number may share a signal without a warning', async () => {
    const { model } = await setUp();
    const warnings: Error[] = [];
    const collect = (warning: Error) => warnings.push(warning);
    process.on('warning', collect);
    const { signal } = new AbortController();
    await Promise.all(Array.from({ length: 40 }, () => model.encodeImage(picture, { signal })));
    await new Promise(setImmediate);
    process.off('warning', collect);
    expect(warnings).toEqual([]);
  });

  test('mode: the part, else the model', async () => {
    const { model } = await setUp({}, { imageMode: 'squash' });
    expect((await model.encodeImage(picture)).mode).toBe('squash');
    expect((await model.encodeImage(picture, { mode: 'pad' })).mode).toBe('pad');
  });

  test('a signal stops encoding', async () => {
    const { model } = await setUp();
    const controller = new AbortController();
    const encoding = model.encodeImage(picture, { signal: controller.signal });
    controller.abort(new Error('stop'));
    await expect(encoding).rejects.toThrow('stop');
  });

  test.each<[string, object, string]>([
    ['another model', { width: 5 }, "Expected the model's 4 for width of an EncodedImage, received 5"],
    [
      'cut off',
      { tokenCount: 7 },
      'Expected tokenCount (7) * 4 values for embeddings of an EncodedImage, received 40',
    ],
    [
      'plain array',
      { embeddings: [1, 2] },
      'Expected a Float32Array for embeddings of an EncodedImage, received an array of 2',
    ],
  ])('refuses an EncodedImage that is %s', async (_, change, message) => {
    const { model } = await setUp();
    const encoded = { ...(await model.encodeImage(picture)), ...change };
    await expect(model.complete([{ image: encoded }])).rejects.toMatchObject({
      code: 'ERR_XGENMM_INVALID_ARGUMENT',
      message,
    });
    await expect(model.countTokens([{ image: encoded }])).rejects.toMatchObject({ message });
  });

  test('options of a picture that is encoded already are refused', async () => {
    const { model } = await setUp();
    const encoded = await model.encodeImage(picture);
    await expect(model.encodeImage(encoded, { mode: 'pad' })).rejects.toThrow(
      'Expected nothing (an EncodedImage is encoded already) for mode, received "pad"',
    );
  });

  test('a text-only model takes none', async () => {
    const { model } = await setUp({
      variant: '',
      imageMode: '',
    });
    expect(model.info.imageMode).toBeUndefined();
    const unsupported = { code: 'ERR_XGENMM_MODEL_UNSUPPORTED' };
    await expect(model.encodeImage(picture)).rejects.toMatchObject(unsupported);
    await expect(model.chat().ask([{ image: picture }])).rejects.toMatchObject(unsupported);
    await expect(model.countTokens([{ image: picture }])).rejects.toMatchObject(unsupported);
  });

  test('encodeImage names what is wrong', async () => {
    const { model } = await setUp();
    await expect(model.encodeImage(7 as never)).rejects.toThrow('for image, received 7');
    await expect(model.encodeImage(picture, { modus: 'pad' } as never)).rejects.toThrow(
      "did you mean 'mode'?",
    );
    const error = await model.encodeImage('no/such.png').catch((error) => error);
    expect(error.code).toBe('ERR_XGENMM_FILE_NOT_FOUND');
    expect(error.stack.split('\n')[1]).toContain('model.test.ts');
  });
});

describe('more requests than the engine queues', () => {
  test('are refused, and leave the others alone', async () => {
    const { addon, model } = await setUp();
    addon.stalled = true;
    const controller = new AbortController();
    const { signal } = controller;
    const open = Array.from({ length: 1024 }, () => model.complete('x', { signal }));
    const busy = { code: 'ERR_XGENMM_BUSY', name: 'XgenmmError' };
    const chat = model.chat();
    await tick();
    for (const refused of [
      model.complete('x'),
      chat.ask('x'),
      model.logits('x'),
      model.encodeImage(picture),
    ]) {
      await expect(refused).rejects.toMatchObject(busy);
    }
    expect(chat.history).toEqual([]);
    controller.abort('enough');
    const outcomes = await Promise.allSettled(open);
    expect(new Set(outcomes.map((outcome) => outcome.status === 'rejected' && outcome.reason))).toEqual(
      new Set(['enough']),
    );
    addon.stalled = false;
    addon.answers = ['a'];
    expect((await chat.ask('x')).text).toBe('a');
  });
});

describe('tokens', () => {
  test('there and back', async () => {
    const { model } = await setUp();
    expect(model.tokenize('hi')).toEqual(Int32Array.of(SLOW_PREFIX, 104, 105));
    expect(model.tokenize('<|end|>', { parseSpecial: true })).toEqual(Int32Array.of(SLOW_PREFIX, 32007));
    expect(model.detokenize([SLOW_PREFIX, 104, 105, 32007])).toBe('hi');
    expect(model.detokenize(Int32Array.of(104))).toBe('h');
  });

  test('countTokens measures pictures without encoding them', async () => {
    const { addon, model } = await setUp();
    expect(await model.countTokens('hi')).toBe(3);
    expect(await model.countTokens([{ image: picture }, 'hi'])).toBe(3 + 2 * 5);
    expect(await model.countTokens([{ image: wide }])).toBe(1 + 2 * 4);
    expect(await model.countTokens([{ image: wide, mode: 'pad' }, '<|end|>'], { parseSpecial: true })).toBe(
      2 + 2,
    );
    expect(addon.encodes).toEqual([]);
    expect(await model.countTokens([{ image: await model.encodeImage(picture) }])).toBe(1 + 10);
  });

  test('logits', async () => {
    const { model } = await setUp({ vocabSize: 300 });
    const { tokens, logits, vocabSize } = await model.logits(['hi', { image: picture }], { last: 2 });
    expect([tokens.length, logits.length, vocabSize]).toEqual([3 + 10, 2 * 300, 300]);
    expect((await model.logits('hi')).logits.length).toBe(3 * 300);
    await expect(model.logits('hi', { last: 0 })).rejects.toThrow('for last in model.logits(), received 0');
    await expect(model.logits('x'.repeat(2001))).rejects.toMatchObject({
      code: 'ERR_XGENMM_CONTEXT_OVERFLOW',
    });
    const controller = new AbortController();
    const pending = model.logits('hi', { signal: controller.signal });
    controller.abort(new Error('stop'));
    await expect(pending).rejects.toThrow('stop');
  });

  test('wrong use', async () => {
    const { model } = await setUp();
    expect(() => model.tokenize(7 as never)).toThrow('Expected a string for text, received 7');
    expect(() => model.tokenize('a', { special: true } as never)).toThrow("Unknown option 'special'");
    for (const tokens of [[1.5], [-1], [32015], Int32Array.of(-1), 'hi', new Float32Array(1)]) {
      expect(() => model.detokenize(tokens as never)).toThrow('integers from 0 to 32014 for tokens');
    }
  });
});

describe('dispose', () => {
  test('is one promise, and ends what runs', async () => {
    const { addon, model } = await setUp();
    const disposed = { code: 'ERR_XGENMM_DISPOSED' };
    const open = [model.complete('x'), model.encodeImage(picture), model.logits('x')];
    const settled = Promise.all(open.map((promise) => expect(promise).rejects.toMatchObject(disposed)));
    const disposal = model.dispose();
    expect(model.dispose()).toBe(disposal);
    expect(model[Symbol.asyncDispose]()).toBe(disposal);
    await Promise.all([disposal, settled]);
    expect(addon.disposals).toBe(1);
  });

  test('settles requests whose last event the engine lost', async () => {
    const { addon, model } = await setUp();
    addon.stalled = true;
    const answer = model.complete('x');
    const rejected = expect(answer).rejects.toMatchObject({ code: 'ERR_XGENMM_DISPOSED' });
    await tick();
    addon.mute = true;
    await model.dispose();
    await rejected;
  });

  test('afterwards everything is refused', async () => {
    const { model } = await setUp();
    await model.dispose();
    const disposed = { code: 'ERR_XGENMM_DISPOSED', name: 'XgenmmError' };
    const throwing = [
      () => model.chat(),
      () => model.stream('x'),
      () => model.tokenize('x'),
      () => model.detokenize([1]),
    ];
    for (const call of throwing) expect(call).toThrow(expect.objectContaining(disposed));
    const rejecting = [
      model.complete('x'),
      model.encodeImage(picture),
      model.logits('x'),
      model.countTokens('x'),
    ];
    for (const promise of rejecting) await expect(promise).rejects.toMatchObject(disposed);
    await model.dispose();
  });
});
