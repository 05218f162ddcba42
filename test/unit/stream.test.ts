import { describe, expect, test } from 'vitest';
import { XgenmmError } from '../../lib/errors.js';
import { createModel } from '../../lib/load.js';
import type { AnswerStream } from '../../lib/stream.js';
import { FakeAddon, nativeError, tick } from './fake-addon.js';
import { expectNoUnhandledRejections } from './rejections.js';

expectNoUnhandledRejections();

async function setUp(...answers: string[]) {
  const addon = new FakeAddon();
  addon.answers = answers;
  const model = await createModel(addon, 'fake.gguf');
  return { addon, model };
}

async function collect(stream: AnswerStream): Promise<string[]> {
  const pieces: string[] = [];
  for await (const piece of stream) pieces.push(piece);
  return pieces;
}

describe('an answer stream', () => {
  test('yields pieces as they come, then the answer', async () => {
    const { model } = await setUp('yes!');
    const stream = model.stream('?');
    expect(await collect(stream)).toEqual(['y', 'e', 's', '!']);
    expect(await stream.answer()).toEqual({
      text: 'yes!',
      tokens: Int32Array.of(121, 101, 115, 33),
      finishReason: 'stop',
      usage: { promptTokens: 2, imageTokens: 0, cachedTokens: 5, completionTokens: 4 },
      timings: { decode: 0, preprocess: 0, vision: 0, resample: 0, prefill: 7, generate: 9 },
    });
  });

  test('starts at the call, and joins what a late reader missed', async () => {
    const { model } = await setUp('hello');
    const stream = model.stream('?');
    await stream.answer();
    expect(await collect(stream)).toEqual(['hello']);
  });

  test('can be iterated once', async () => {
    const { model } = await setUp('hello');
    const stream = model.stream('?');
    await collect(stream);
    await expect(collect(stream)).rejects.toMatchObject({ code: 'ERR_XGENMM_INVALID_ARGUMENT' });
    expect((await stream.answer()).text).toBe('hello');
  });

  test('serves overlapping next() calls in order', async () => {
    const { model } = await setUp('ab');
    const iterator = model.stream('?')[Symbol.asyncIterator]();
    const results = await Promise.all([iterator.next(), iterator.next(), iterator.next()]);
    expect(results.map(({ value }) => value)).toEqual(['a', 'b', undefined]);
  });

  test('leaving the loop cancels and keeps the text so far', async () => {
    const { addon, model } = await setUp();
    const stream = model.stream('?');
    let text = '';
    for await (const piece of stream) {
      text += piece;
      if (text.length === 3) break;
    }
    const answer = await stream.answer();
    expect(answer.finishReason).toBe('cancelled');
    expect(answer.text.startsWith('zzz')).toBe(true);
    expect(answer.usage.completionTokens).toBe(answer.tokens.length);
    addon.answers = ['next'];
    expect((await model.complete('?')).text).toBe('next');
  });

  test('leaving before the first piece resolves with an empty answer', async () => {
    const { addon, model } = await setUp();
    addon.stalled = true;
    for (const content of [
      '?',
      [{ image: { data: new Uint8Array(3), width: 1, height: 1, channels: 3 as const } }, '?'],
    ]) {
      const stream = model.stream(content);
      const iterator = stream[Symbol.asyncIterator]();
      const pending = iterator.next();
      expect(await iterator.return?.()).toEqual({ value: undefined, done: true });
      expect(await pending).toEqual({ value: undefined, done: true });
      expect(await stream.answer()).toMatchObject({ text: '', finishReason: 'cancelled' });
    }
  });

  test('leaving after the end changes nothing', async () => {
    const { model } = await setUp('ab');
    const stream = model.stream('?');
    await stream.answer();
    for await (const _ of stream) break;
    expect(await stream.answer()).toMatchObject({ text: 'ab', finishReason: 'stop' });
  });
});

describe('a signal', () => {
  test('rejects iterator and answer() with its reason, after the pieces that came', async () => {
    const { model } = await setUp();
    const controller = new AbortController();
    const reason = new Error('enough');
    const stream = model.stream('?', { signal: controller.signal });
    const pieces: string[] = [];
    const loop = (async () => {
      for await (const piece of stream) {
        pieces.push(piece);
        if (pieces.length === 2) controller.abort(reason);
      }
    })();
    await expect(loop).rejects.toBe(reason);
    await expect(stream.answer()).rejects.toBe(reason);
    expect(pieces.length).toBeGreaterThanOrEqual(2);
  });

  test('whose reason is one of our errors, frozen, rejects with it', async () => {
    const { model } = await setUp('never');
    const reason = Object.freeze(new XgenmmError('ERR_XGENMM_BUSY', 'mine'));
    const signal = AbortSignal.abort(reason);
    await expect(model.complete('?', { signal })).rejects.toBe(reason);
    await expect(model.encodeImage('x.png', { signal })).rejects.toBe(reason);
  });

  test('that is aborted already rejects before the engine hears of it', async () => {
    const { addon, model } = await setUp('never');
    const reason = new Error('too late');
    const signal = AbortSignal.abort(reason);
    const stream = model.stream('?', { signal });
    await expect(collect(stream)).rejects.toBe(reason);
    await expect(stream.answer()).rejects.toBe(reason);
    await expect(model.complete('?', { signal })).rejects.toBe(reason);
    expect(addon.prompts).toEqual([]);
  });

  test('keeps no listener once the answer is there', async () => {
    const { model } = await setUp('ab');
    const controller = new AbortController();
    const { signal } = controller;
    let listeners = 0;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listeners++;
      add(...args);
    };
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listeners--;
      remove(...args);
    };
    const stream = model.stream('?', { signal });
    expect(listeners).toBe(1);
    await stream.answer();
    expect(listeners).toBe(0);
    controller.abort();
    expect((await stream.answer()).text).toBe('ab');
  });
});

describe('failures', () => {
  test('nobody listening means no unhandled rejection', async () => {
    const { addon, model } = await setUp();
    addon.failure.generate = nativeError('ERR_XGENMM_INTERNAL', 'broken');
    model.stream('?');
    model.stream([{ special: '<|none|>' }]);
    model.stream('?', { signal: AbortSignal.abort() });
    await tick();
    await tick();
  });

  test("an engine's error keeps its code and shows the caller", async () => {
    const { addon, model } = await setUp();
    addon.failure.generate = nativeError('ERR_XGENMM_OUT_OF_MEMORY', 'no room');
    const error = await model.complete('?').catch((error) => error);
    expect(error).toMatchObject({
      name: 'XgenmmError',
      code: 'ERR_XGENMM_OUT_OF_MEMORY',
      message: 'no room',
    });
    expect(error.stack).toMatch(/^XgenmmError: no room\n/);
    expect(error.stack).toContain('stream.test.ts');
    expect(error.stack).not.toContain('engine.ts');
  });

  test('disposing the model ends a stream with ERR_XGENMM_DISPOSED', async () => {
    const { model } = await setUp();
    const stream = model.stream('?');
    const loop = collect(stream);
    await tick();
    await Promise.all([
      expect(loop).rejects.toMatchObject({ code: 'ERR_XGENMM_DISPOSED' }),
      expect(stream.answer()).rejects.toMatchObject({ code: 'ERR_XGENMM_DISPOSED' }),
      model.dispose(),
    ]);
  });
});
