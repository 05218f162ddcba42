import { expect, test } from 'vitest';
import type { Chat } from '../../lib/index.js';
import { type FakeAddon, nativeError, tick } from './fake-addon.js';
import { image, lastImages, lastPrompt, setUp } from './fake-chat.js';
import { expectNoUnhandledRejections } from './rejections.js';

expectNoUnhandledRejections();

const info = { contextSize: 100 };
const TURNS = 8;
const DROP = { overflow: 'drop-oldest', info } as const;

/** Asks question after question, each turn 10 positions (the opening is 4, a question 8), with enough room for all. */
async function fill(chat: Chat, addon: FakeAddon, turns = TURNS): Promise<void> {
  for (let k = 0; k < turns; k++) {
    addon.answers = ['a'];
    await chat.ask(`${k}????`, { maxTokens: 1 });
  }
  expect(chat.tokenCount).toBe(4 + 10 * turns);
}
const asked = (chat: Chat) => chat.history.map(({ question }) => String(question[0])[0]).join('');

test("'error', the default, keeps every turn as long as it fits", async () => {
  const { addon, chat } = await setUp({ info });
  await fill(chat, addon, 9);
  addon.answers = ['a'];
  await expect(chat.ask('no more')).rejects.toMatchObject({ code: 'ERR_XGENMM_CONTEXT_OVERFLOW' });
  expect(asked(chat)).toBe('012345678');
  expect((await chat.ask('ok?', { maxTokens: 1 })).text).toBe('a');
});

test("'drop-oldest' keeps turns while the answer has the room that it may take", async () => {
  const { addon, chat } = await setUp(DROP);
  await fill(chat, addon);
  addon.answers = ['b'];
  // 100 - 84 - 8 = 8 positions are left.
  await chat.ask('8????', { maxTokens: 8 });
  expect(asked(chat)).toBe('012345678');
});

test.each([[9], [undefined]])(
  "'drop-oldest' drops whole turns until half is free, for maxTokens %s",
  async (maxTokens) => {
    const { addon, chat } = await setUp(DROP);
    await fill(chat, addon);
    addon.answers = ['b'];
    const { usage } = await chat.ask('8????', { maxTokens });
    // With three turns 58 positions are free, with four there would be 48.
    expect(usage.promptTokens).toBe(4 + 30 + 8);
    expect(lastPrompt(addon)).toMatch(/^_<\|system\|>S<\|end\|><\|user\|>5/);
    expect(asked(chat)).toBe('5678');
    expect(chat.tokenCount).toBe(4 + 40);
  },
);

test('a quarter of the context is room enough for any answer', async () => {
  const { addon, chat } = await setUp(DROP);
  await fill(chat, addon, 6);
  addon.answers = ['b', 'c'];
  // 100 - 64 - 11 = 25 positions are left, then 100 - 77 - 8.
  await chat.ask('6???????');
  expect(asked(chat)).toBe('0123456');
  await chat.ask('7????');
  expect(asked(chat)).toBe('4567');
});

test('pictures go with their turns', async () => {
  const { addon, chat } = await setUp({ ...DROP, answers: ['a', 'b', 'c', 'd'] });
  await chat.ask([image, '0'], { maxTokens: 1 });
  await chat.ask([image, image, '1'], { maxTokens: 1 });
  await chat.ask([image, '2'], { maxTokens: 1 });
  expect(lastImages(addon)).toEqual([1, 2, 3, 4]);
  await chat.ask([image, '3']);
  expect(lastImages(addon)).toEqual([4, 5]);
  expect(lastPrompt(addon)).toContain('<|user|>[0]\n2<|end|><|assistant|>c<|end|><|user|>[1]\n3');
  expect(chat.history).toHaveLength(2);
});

test('a question that leaves no turn is answered alone', async () => {
  const { addon, chat } = await setUp(DROP);
  await fill(chat, addon);
  addon.answers = ['b'];
  await chat.ask('x'.repeat(90));
  expect(lastPrompt(addon)).toBe(`_<|system|>S<|end|><|user|>${'x'.repeat(90)}<|end|><|assistant|>`);
  expect(chat.history).toHaveLength(1);
});

test('one that does not fit even so is refused before anything is encoded, and drops nothing', async () => {
  const { addon, chat } = await setUp(DROP);
  await fill(chat, addon);
  const overflow = { code: 'ERR_XGENMM_CONTEXT_OVERFLOW' };
  await expect(chat.ask('x'.repeat(94))).rejects.toMatchObject({
    ...overflow,
    message: expect.stringContaining('takes 101 positions, but the context holds 100'),
  });
  await expect(chat.ask(Array(10).fill(image))).rejects.toMatchObject(overflow);
  expect(addon.encodes).toEqual([]);
  expect(asked(chat)).toBe('01234567');
});

test('a turn that is rolled back restores what it dropped', async () => {
  const { addon, chat } = await setUp(DROP);
  await fill(chat, addon);
  const prompts = addon.prompts.length;
  addon.failure.generate = nativeError('ERR_XGENMM_INTERNAL', 'broken');
  await expect(chat.ask('8????')).rejects.toThrow('broken');
  addon.failure = {};
  addon.stalled = true;
  const left = chat.stream('8????')[Symbol.asyncIterator]();
  while (addon.prompts.length < prompts + 2) await tick();
  await left.return?.();
  expect(lastPrompt(addon)).toMatch(/^_<\|system\|>S<\|end\|><\|user\|>5/);
  expect(asked(chat)).toBe('01234567');
  addon.stalled = false;
  const stream = chat.stream('8????');
  for await (const _ of stream) break;
  expect(asked(chat)).toBe('5678');
});

test('forks go on as their chat does', async () => {
  const { addon, chat } = await setUp(DROP);
  await fill(chat, addon);
  addon.answers = ['b'];
  const fork = chat.fork();
  await fork.ask('8????');
  expect([asked(fork), asked(chat)]).toEqual(['5678', '01234567']);
});

test('overflow is one of two', async () => {
  const { model } = await setUp();
  expect(() => model.chat({ overflow: 'drop' as never })).toThrow(
    "Expected 'error' or 'drop-oldest' for overflow in model.chat(), received \"drop\"",
  );
});
