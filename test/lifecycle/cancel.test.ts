import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadModel, type Model } from '../../lib/index.js';
import { modelFile, picture } from '../files.js';
import { expectNoUnhandledRejections } from '../unit/rejections.js';
import { SlowModels } from './slow-models.js';

expectNoUnhandledRejections();

/** Far less than the work that is cut short, far more than a step of it. */
const PROMPT_MS = 1000;

let slow: SlowModels;
beforeAll(() => {
  slow = new SlowModels();
});
afterAll(() => slow.remove());

/** `work` rejects with the signal's reason, soon after the signal aborts. */
async function expectAborted(controller: AbortController, work: Promise<unknown>): Promise<void> {
  const reason = new Error('enough');
  const aborted = once(controller.signal, 'abort').then(() => performance.now());
  setTimeout(() => controller.abort(reason), 100);
  await expect(work).rejects.toBe(reason);
  expect(performance.now() - (await aborted)).toBeLessThan(PROMPT_MS);
}

describe('a signal', () => {
  test('that aborted before', async () => {
    const model = await loadModel(modelFile('tiny-f16'), { threads: 1 });
    const reason = new Error('no');
    const signal = AbortSignal.abort(reason);
    await expect(loadModel(modelFile('tiny-f16'), { signal })).rejects.toBe(reason);
    await expect(model.encodeImage(picture(), { signal })).rejects.toBe(reason);
    await expect(model.logits('x', { signal })).rejects.toBe(reason);
    await expect(model.complete('x', { signal })).rejects.toBe(reason);
    await expect(model.chat().ask('x', { signal })).rejects.toBe(reason);
    await model.dispose();
  });

  test('stops loading, wherever it is', async () => {
    const fractions: number[] = [];
    const onProgress = (fraction: number) => fractions.push(fraction);
    await (await loadModel(slow.text, { onProgress })).dispose();
    expect(fractions.length).toBeGreaterThan(2);
    expect(fractions).toEqual(fractions.toSorted((a, b) => a - b));
    expect([fractions[0], fractions.at(-1)]).toEqual([0, 1]);
    for (const at of fractions) {
      const controller = new AbortController();
      const reason = new Error(`at ${at}`);
      const stop = (fraction: number) => fraction === at && controller.abort(reason);
      await expect(loadModel(slow.text, { onProgress: stop, signal: controller.signal })).rejects.toBe(
        reason,
      );
    }
  });

  test('stops waiting for a picture that is being decoded', async () => {
    const model = await loadModel(modelFile('tiny-f16'), { threads: 1 });
    const side = 1500;
    const turbulence = `<svg xmlns="http://www.w3.org/2000/svg" width="${side}" height="${side}">
      <filter id="f"><feTurbulence baseFrequency="0.05" numOctaves="10"/></filter>
      <rect width="${side}" height="${side}" filter="url(#f)"/></svg>`;
    const slowPicture = Buffer.from(turbulence);
    const controller = new AbortController();
    await expectAborted(controller, model.encodeImage(slowPicture, { signal: controller.signal }));
    await model.dispose();
  });

  describe('with a slow tower', () => {
    let model: Model;
    beforeAll(async () => {
      model = await loadModel(slow.vision, { threads: 1 });
    });
    afterAll(() => model.dispose());

    test('stops encoding', async () => {
      const controller = new AbortController();
      await expectAborted(controller, model.encodeImage(picture(), { signal: controller.signal }));
    });

    test('stops encoding for an answer, and the chat is as before', async () => {
      const chat = model.chat();
      const controller = new AbortController();
      const question = [{ image: picture() }, 'What is it?'];
      await expectAborted(controller, chat.ask(question, { signal: controller.signal }));
      const { usage } = await chat.ask('Hm?', { maxTokens: 3 });
      expect(usage).toMatchObject(await usageOf(model, 'Hm?'));
    });

    test('leaves the other requests alone', async () => {
      const controller = new AbortController();
      const other = model.encodeImage(picture('07_grey'), { mode: 'squash' });
      await expectAborted(controller, model.encodeImage(picture(), { signal: controller.signal }));
      expect(await other).toEqual(await model.encodeImage(picture('07_grey'), { mode: 'squash' }));
    });
  });

  describe('with slow text', () => {
    let model: Model;
    beforeAll(async () => {
      model = await loadModel(slow.text, { threads: 1 });
    });
    afterAll(() => model.dispose());

    test('stops reading a prompt', async () => {
      for (const read of ['complete', 'logits'] as const) {
        const controller = new AbortController();
        const { signal } = controller;
        await expectAborted(controller, model[read](read.repeat(400), { signal }));
      }
    });

    test('stops an answer', async () => {
      const controller = new AbortController();
      const stream = model.stream('x', { signal: controller.signal });
      let pieces = 0;
      const reading = async () => {
        for await (const _ of stream) pieces++;
      };
      await expectAborted(controller, reading());
      expect(pieces).toBeGreaterThan(0);
    });

    test('stops a request that waits for its turn', async () => {
      const [first, second] = [new AbortController(), new AbortController()];
      const running = [
        model.complete('a', { signal: first.signal }),
        model.complete('b', { signal: first.signal }),
      ];
      const stopped = Promise.allSettled(running);
      await expectAborted(second, model.complete('c', { signal: second.signal }));
      first.abort();
      expect((await stopped).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    });

    test('leaves the model as good as new', async () => {
      const fresh = await loadModel(slow.text, { threads: 1 });
      const options = { maxTokens: 20 };
      const prompt = ['complete'.repeat(20), { image: picture() }, 'What is it?'];
      const answer = await model.complete(prompt, options);
      expect(answer.tokens).toEqual((await fresh.complete(prompt, options)).tokens);
      await fresh.dispose();
    });

    test('leaving the loop cancels the answer', async () => {
      const chat = model.chat();
      const stream = chat.stream('Hm?');
      let text = '';
      const start = performance.now();
      for await (const piece of stream) {
        text += piece;
        break;
      }
      expect(performance.now() - start).toBeLessThan(PROMPT_MS);
      const answer = await stream.answer();
      expect(answer.finishReason).toBe('cancelled');
      expect(answer.text.startsWith(text)).toBe(true);
      // The turn stays as far as it came.
      const next = await chat.ask('Well?', { maxTokens: 3 });
      expect(next.usage.promptTokens).toBeGreaterThan(answer.usage.promptTokens + answer.tokens.length);
    });
  });
});

async function usageOf(model: Model, question: string) {
  const { promptTokens, imageTokens } = (await model.chat().ask(question, { maxTokens: 3 })).usage;
  return { promptTokens, imageTokens };
}
