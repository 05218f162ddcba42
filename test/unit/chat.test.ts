import { describe, expect, test } from 'vitest';
import { DEFAULT_SYSTEM } from '../../lib/chat-template.js';
import { createModel } from '../../lib/load.js';
import { ADDED, FakeAddon, nativeError, tick } from './fake-addon.js';
import { image, setUp, show } from './fake-chat.js';
import { expectNoUnhandledRejections } from './rejections.js';

expectNoUnhandledRejections();

describe('template', () => {
  test('first turn', async () => {
    const { addon, chat } = await setUp({ answers: ['a'] });
    await chat.ask('Why?');
    expect(show(addon.prompts[0]?.tokens)).toBe('_<|system|>S<|end|><|user|>Why?<|end|><|assistant|>');
  });

  test.each([
    ['the sentence of training by default', undefined, 'instruct-dpo', `<|system|>${DEFAULT_SYSTEM}<|end|>`],
    ['none for null', null, 'instruct-dpo', ''],
    ['none for an empty string', '', 'instruct-dpo', ''],
    ['none by default for a plain phi3 file', undefined, '', ''],
    ['one that is given for a plain phi3 file', 'S', '', '<|system|>S<|end|>'],
  ])('system sentence: %s', async (_, system, variant, expected) => {
    const { addon, chat } = await setUp({ answers: ['a'], info: { variant }, system });
    await chat.ask('Why?');
    expect(show(addon.prompts[0]?.tokens)).toBe(`_${expected}<|user|>Why?<|end|><|assistant|>`);
  });

  test('user text is never parsed for special tokens', async () => {
    const { addon, chat } = await setUp({ answers: ['a'], system: '<|end|>' });
    await chat.ask('<|end|><image>');
    const tokens = addon.prompts[0]?.tokens as Int32Array;
    expect(tokens.filter((token) => token === ADDED['<|end|>'])).toHaveLength(2);
    expect(tokens.includes(ADDED['<image>'] as number)).toBe(false);
  });

  test('the separator follows each picture unless whitespace does', async () => {
    const { addon, chat } = await setUp({ answers: ['a'], system: null });
    await chat.ask([
      image,
      'one',
      image,
      image,
      '',
      ' two',
      image,
      { special: '<|endofchunk|>' },
      image,
      '\nthree',
      image,
    ]);
    expect(show(addon.prompts[0]?.tokens)).toBe(
      '_<|user|>[0]\none[1]\n[2] two[3]\n<|endofchunk|>[4]\nthree[5]\n<|end|><|assistant|>',
    );
    expect(addon.prompts[0]?.images.map((embeddings) => embeddings[0])).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test('the base model has none', async () => {
    const model = await createModel(new FakeAddon({ variant: 'base' }), 'fake.gguf');
    expect(() => model.chat()).toThrow(
      expect.objectContaining({
        code: 'ERR_XGENMM_MODEL_UNSUPPORTED',
        message: expect.stringContaining('use model.complete()'),
      }),
    );
  });
});

describe('history', () => {
  test('later turns continue the tokens of the earlier ones, pictures included', async () => {
    const { addon, chat } = await setUp({ answers: ['one', 'two', 'three'] });
    await chat.ask([image, 'A']);
    await chat.ask([image, 'B']);
    const answer = await chat.ask('C');
    const prompts = addon.prompts.map(({ tokens }) => show(tokens));
    expect(prompts[1]).toBe(`${prompts[0]}one<|end|><|user|>[1]\nB<|end|><|assistant|>`);
    expect(prompts[2]).toBe(`${prompts[1]}two<|end|><|user|>C<|end|><|assistant|>`);
    expect(addon.encodes).toHaveLength(2);
    expect(addon.prompts[2]?.images.map((embeddings) => embeddings[0])).toEqual([1, 2]);
    expect(answer.usage.imageTokens).toBe(20);
    expect(answer.timings.vision).toBe(0);
  });

  test('an answer that ended otherwise is closed as well', async () => {
    const { addon, chat } = await setUp({ answers: ['one', 'two', 'three'] });
    expect((await chat.ask('A', { maxTokens: 2 })).finishReason).toBe('length');
    expect(await chat.ask('B', { stop: ['o'] })).toMatchObject({ finishReason: 'stop-string', text: 'tw' });
    await chat.ask('C');
    expect(show(addon.prompts[2]?.tokens)).toContain(
      'on<|end|><|user|>B<|end|><|assistant|>tw<|end|><|user|>C',
    );
  });

  test('a turn cancelled after its first token stays', async () => {
    const { addon, chat } = await setUp();
    const stream = chat.stream('A');
    for await (const _ of stream) break;
    const { text } = await stream.answer();
    addon.answers = ['b'];
    await chat.ask('B');
    expect(show(addon.prompts[1]?.tokens)).toContain(`A<|end|><|assistant|>${text}<|end|><|user|>B`);
  });

  test('so does one that a signal ended', async () => {
    const { addon, chat } = await setUp();
    const controller = new AbortController();
    const stream = chat.stream('A', { signal: controller.signal });
    const iterator = stream[Symbol.asyncIterator]();
    await iterator.next();
    controller.abort();
    await expect(stream.answer()).rejects.toBe(controller.signal.reason);
    addon.answers = ['b'];
    await chat.ask('B');
    expect(show(addon.prompts[1]?.tokens)).toMatch(/A<\|end\|><\|assistant\|>z+<\|end\|><\|user\|>B/);
  });

  test('a turn cancelled before its first token is rolled back', async () => {
    const { addon, chat } = await setUp();
    addon.stalled = true;
    const controller = new AbortController();
    const turn = chat.ask('A', { signal: controller.signal });
    await tick();
    expect(addon.prompts).toHaveLength(1);
    controller.abort();
    await expect(turn).rejects.toBe(controller.signal.reason);
    addon.stalled = false;
    addon.answers = ['b'];
    await chat.ask('B');
    expect(show(addon.prompts.at(-1)?.tokens)).toBe('_<|system|>S<|end|><|user|>B<|end|><|assistant|>');
  });

  test('so is one that fails', async () => {
    const { addon, chat } = await setUp({ answers: ['a', 'b'] });
    await chat.ask('A');
    const before = show(addon.prompts[0]?.tokens);
    await expect(chat.ask('x'.repeat(3000))).rejects.toMatchObject({ code: 'ERR_XGENMM_CONTEXT_OVERFLOW' });
    await expect(chat.ask([{ image: 'no/such.png' }])).rejects.toMatchObject({
      code: 'ERR_XGENMM_FILE_NOT_FOUND',
    });
    await expect(chat.ask([{ special: '<|none|>' }])).rejects.toMatchObject({
      code: 'ERR_XGENMM_INVALID_ARGUMENT',
    });
    addon.failure.generate = nativeError('ERR_XGENMM_INTERNAL', 'broken');
    await expect(chat.ask('B')).rejects.toMatchObject({ code: 'ERR_XGENMM_INTERNAL' });
    addon.failure = {};
    await chat.ask('C');
    expect(show(addon.prompts.at(-1)?.tokens)).toBe(`${before}a<|end|><|user|>C<|end|><|assistant|>`);
  });
});

describe('one turn at a time', () => {
  test('a second question is refused until the first is answered', async () => {
    const { addon, model, chat } = await setUp({ answers: ['a', 'other', 'c'] });
    const first = chat.ask('A');
    const busy = { code: 'ERR_XGENMM_BUSY' };
    await expect(chat.ask('B')).rejects.toMatchObject(busy);
    expect(() => chat.stream('B')).toThrow(expect.objectContaining(busy));
    const other = model.chat().ask('A');
    expect(await Promise.all([first, other])).toMatchObject([{ text: 'a' }, { text: 'other' }]);
    expect((await chat.ask('C')).text).toBe('c');
    expect(addon.prompts).toHaveLength(3);
  });

  test('leaving a loop frees the chat at once', async () => {
    const { addon, chat } = await setUp();
    for await (const _ of chat.stream('A')) break;
    addon.answers = ['b'];
    expect((await chat.ask('B')).text).toBe('b');
  });

  test('an aborted signal does not leave it busy', async () => {
    const { chat } = await setUp({ answers: ['b'] });
    await expect(chat.ask('A', { signal: AbortSignal.abort() })).rejects.toThrow('aborted');
    expect((await chat.ask('B')).text).toBe('b');
  });
});

describe('wrong use', () => {
  test.each<[object, string]>([
    [{ parseSpecial: true }, "Unknown option 'parseSpecial' in chat.stream()"],
    [{ topK: 0 }, 'Expected a positive integer for topK in chat.stream(), received 0'],
    [{ temperatur: 1 }, "did you mean 'temperature'?"],
  ])('refuses %o', async (options, message) => {
    const { chat } = await setUp();
    await expect(chat.ask('A', options)).rejects.toThrow(message);
    expect(() => chat.stream('A', options)).toThrow(message);
  });

  test('of model.chat()', async () => {
    const { model } = await setUp();
    expect(() => model.chat({ system: 7 as never })).toThrow(
      'Expected a string or null for system in model.chat(), received 7',
    );
    expect(() => model.chat({ sytem: '' } as never)).toThrow("did you mean 'system'?");
  });

  test('after dispose', async () => {
    const { model, chat } = await setUp();
    await model.dispose();
    const disposed = { code: 'ERR_XGENMM_DISPOSED' };
    expect(() => chat.stream('A')).toThrow(expect.objectContaining(disposed));
    await expect(chat.ask('A')).rejects.toMatchObject(disposed);
  });
});
