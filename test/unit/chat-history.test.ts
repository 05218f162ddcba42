import { describe, expect, test } from 'vitest';
import type { Chat, ChatTurn } from '../../lib/index.js';
import { nativeError, tick } from './fake-addon.js';
import { image, lastImages, lastPrompt, picture, setUp } from './fake-chat.js';
import { expectNoUnhandledRejections } from './rejections.js';

expectNoUnhandledRejections();

describe('history', () => {
  test('shows the turns as they were asked and answered', async () => {
    const { model, chat } = await setUp({ answers: ['one', 'two'] });
    expect(chat.history).toEqual([]);
    const encoded = await model.encodeImage(picture, { mode: 'pad' });
    await chat.ask([image, 'A', { special: '<|endofchunk|>' }, { image: encoded }, '', 'B']);
    await chat.ask('C', { maxTokens: 2 });
    const fresh = {
      embeddings: new Float32Array(40).fill(2),
      tokenCount: 10,
      width: 4,
      tiles: { columns: 4, rows: 1 },
      mode: 'anyres' as const,
    };
    expect(chat.history).toEqual([
      {
        question: [{ image: fresh }, 'A', { special: '<|endofchunk|>' }, { image: encoded }, 'B'],
        text: 'one',
        finishReason: 'stop',
      },
      { question: ['C'], text: 'tw', finishReason: 'length' },
    ] satisfies ChatTurn[]);
  });

  test('marks what was cut off', async () => {
    const { chat } = await setUp();
    const stream = chat.stream('A');
    for await (const _ of stream) break;
    const { text } = await stream.answer();
    expect(chat.history).toEqual([{ question: ['A'], text, finishReason: 'cancelled' }]);

    const controller = new AbortController();
    const aborted = chat.stream('B', { signal: controller.signal });
    await aborted[Symbol.asyncIterator]().next();
    controller.abort('enough');
    await expect(aborted.answer()).rejects.toBe('enough');
    expect(chat.history).toHaveLength(2);
    expect(chat.history[1]).toMatchObject({ question: ['B'], finishReason: 'cancelled' });
    expect(chat.history[1]?.text).toMatch(/^z+$/);
  });

  test('does not know a turn that was rolled back', async () => {
    const { addon, chat } = await setUp({ answers: ['a'] });
    await chat.ask('A');
    const before = [chat.history, chat.tokenCount];
    addon.stalled = true;
    const left = chat.stream('B')[Symbol.asyncIterator]();
    await tick();
    await left.return?.();
    addon.failure.generate = nativeError('ERR_XGENMM_INTERNAL', 'broken');
    await expect(chat.ask([image, 'C'])).rejects.toThrow('broken');
    await expect(chat.ask('x'.repeat(2000))).rejects.toMatchObject({ code: 'ERR_XGENMM_CONTEXT_OVERFLOW' });
    expect([chat.history, chat.tokenCount]).toEqual(before);
  });

  test('can be asked again, which makes the same prompt', async () => {
    const { addon, model, chat } = await setUp({ answers: ['one', 'two', 'one', 'two'] });
    await chat.ask([image, 'A', image]);
    await chat.ask([{ special: '<|endofchunk|>' }, image, 'B']);
    const [prompt, images] = [lastPrompt(addon), lastImages(addon)];
    const other = model.chat({ system: 'S' });
    for (const { question } of chat.history) await other.ask(question);
    expect([lastPrompt(addon), lastImages(addon)]).toEqual([prompt, images]);
    expect(addon.encodes).toHaveLength(3);
    expect(other.history).toEqual(chat.history);
  });

  test('is nothing that a chat could be changed by', async () => {
    const { addon, chat } = await setUp({ answers: ['one', 'two', 'three'] });
    await chat.ask([image, { special: '<|endofchunk|>' }, 'A']);
    const history = chat.history as ChatTurn[];
    const [turn] = history as [ChatTurn];
    const [shown, special] = turn.question as [{ image: { embeddings: Float32Array } }, { special: string }];
    const changes = [
      () => history.pop(),
      () => Object.assign(turn, { text: 'x' }),
      () => (turn.question as string[]).push('x'),
      () => Object.assign(shown, { image: 7 }),
      () => Object.assign(shown.image, { tokenCount: 7 }),
      () => Object.assign((shown.image as unknown as { tiles: object }).tiles, { rows: 7 }),
      () => Object.assign(special, { special: 'x' }),
    ];
    for (const change of changes) expect(change).toThrow(TypeError);
    shown.image.embeddings.fill(9);
    await chat.ask('B');
    expect(lastImages(addon)).toEqual([1]);
    const memory = shown.image.embeddings.buffer as ArrayBuffer;
    structuredClone(memory, { transfer: [memory] });
    await chat.ask('C');
    expect(lastImages(addon)).toEqual([1]);
  });

  test('copies the embeddings once', async () => {
    const { chat } = await setUp({ answers: ['one'] });
    await chat.ask([image, 'A']);
    expect(chat.history[0]).toBe(chat.history[0]);
    expect(chat.fork().history[0]).toBe(chat.history[0]);
  });

  test('and tokenCount outlive the model', async () => {
    const { model, chat } = await setUp({ answers: ['one'] });
    await chat.ask('A');
    await model.dispose();
    expect(chat.history).toHaveLength(1);
    expect(chat.tokenCount).toBe(4 + 4 + 4);
  });
});

describe('tokenCount', () => {
  test('is what the next prompt has before its question', async () => {
    const { chat } = await setUp({ answers: ['one', 'two'] });
    expect(chat.tokenCount).toBe(0);
    await chat.ask([image, 'A', { image: picture, mode: 'pad' }, 'B']);
    const first = chat.tokenCount;
    // _<|system|>S<|end|>, then <|user|>[0]\nA[1]\nB<|end|><|assistant|>one<|end|>
    expect(first).toBe(4 + (1 + 10 + 2 + 2 + 2 + 2) + 3 + 1);
    const { usage } = await chat.ask('C');
    expect(usage.promptTokens).toBe(first + 4);
    expect(chat.tokenCount).toBe(first + 4 + 3 + 1);
  });

  test('without a system sentence', async () => {
    const { chat } = await setUp({ answers: ['a'], system: null });
    await chat.ask('A');
    expect(chat.tokenCount).toBe(1 + 4 + 2);
    const fast = await setUp({ answers: ['a', 'b'], system: null, info: { tokenizerStyle: 'fast' } });
    await fast.chat.ask('A');
    expect(fast.chat.tokenCount).toBe(4 + 2);
    await fast.chat.ask('B');
    expect(lastPrompt(fast.addon)).toBe('<|user|>A<|end|><|assistant|>a<|end|><|user|>B<|end|><|assistant|>');
  });
});

describe('fork', () => {
  test('has the turns so far, and goes its own way', async () => {
    const { addon, chat } = await setUp({ answers: ['one', 'two', 'three', 'four'] });
    await chat.ask([image, 'A']);
    const fork = chat.fork();
    expect(fork).not.toBe(chat);
    expect([fork.history, fork.tokenCount]).toEqual([chat.history, chat.tokenCount]);
    const start = `${lastPrompt(addon)}one<|end|>`;

    await chat.ask('B');
    expect(lastPrompt(addon)).toBe(`${start}<|user|>B<|end|><|assistant|>`);
    await fork.ask([image, 'C']);
    expect(lastPrompt(addon)).toBe(`${start}<|user|>[1]\nC<|end|><|assistant|>`);
    expect(lastImages(addon)).toEqual([1, 2]);
    await fork.fork().ask('D');
    expect(lastPrompt(addon)).toMatch(/C<\|end\|><\|assistant\|>three<\|end\|><\|user\|>D/);

    const asked = (of: Chat) => of.history.map(({ question }) => question.at(-1));
    expect([asked(chat), asked(fork)]).toEqual([
      ['A', 'B'],
      ['A', 'C'],
    ]);
  });

  test('of a chat without turns', async () => {
    const { addon, chat } = await setUp({ answers: ['one'], system: 'T' });
    await chat.fork().ask('A');
    expect(lastPrompt(addon)).toBe('_<|system|>T<|end|><|user|>A<|end|><|assistant|>');
    expect(chat.history).toEqual([]);
  });

  test('both answer at the same time', async () => {
    const { chat } = await setUp({ answers: ['one', 'two', 'three'] });
    await chat.ask('A');
    const fork = chat.fork();
    const answers = await Promise.all([chat.ask('B'), fork.ask('B')]);
    expect(answers.map(({ text }) => text)).toEqual(['two', 'three']);
  });

  test('is refused while a turn is being answered, and after dispose', async () => {
    const { model, chat } = await setUp({ answers: ['one'] });
    const turn = chat.ask('A');
    expect(() => chat.fork()).toThrow(
      expect.objectContaining({
        code: 'ERR_XGENMM_BUSY',
        message:
          'Expected a chat at rest, received a call of fork() while another question is being answered',
      }),
    );
    await turn;
    const fork = chat.fork();
    await model.dispose();
    const disposed = expect.objectContaining({ code: 'ERR_XGENMM_DISPOSED' });
    expect(() => chat.fork()).toThrow(disposed);
    expect(() => fork.stream('B')).toThrow(disposed);
  });
});
