import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Answer, loadModel, type Model } from '../../lib/index.js';
import { failure } from '../failure.js';
import { modelFile, picture } from '../files.js';
import { expectNoUnhandledRejections } from '../unit/rejections.js';
import { SlowModels } from './slow-models.js';

expectNoUnhandledRejections();

const DISPOSED = failure('ERR_XGENMM_DISPOSED');
/** Far less than the work that is cut short, far more than a step of it. */
const PROMPT_MS = 1000;

let slow: SlowModels;
beforeAll(() => {
  slow = new SlowModels();
});
afterAll(() => slow.remove());

async function disposePromptly(model: Model): Promise<void> {
  const start = performance.now();
  await model.dispose();
  expect(performance.now() - start).toBeLessThan(PROMPT_MS);
}

describe('dispose', () => {
  test('is idempotent, also at the same time, and everything else throws after it', async () => {
    const model = await loadModel(modelFile('tiny-f16'), { threads: 1 });
    const chat = model.chat();
    await chat.ask('Hm?', { maxTokens: 2 });
    await Promise.all([model.dispose(), model.dispose()]);
    await model.dispose();
    await model[Symbol.asyncDispose]();

    expect(() => model.chat()).toThrow(DISPOSED);
    expect(() => model.tokenize('x')).toThrow(DISPOSED);
    expect(() => model.detokenize([5])).toThrow(DISPOSED);
    expect(() => model.stream('x')).toThrow(DISPOSED);
    expect(() => chat.stream('x')).toThrow(DISPOSED);
    await expect(chat.ask('x')).rejects.toEqual(DISPOSED);
    await expect(model.complete('x')).rejects.toEqual(DISPOSED);
    await expect(model.encodeImage(picture())).rejects.toEqual(DISPOSED);
    await expect(model.logits('x')).rejects.toEqual(DISPOSED);
    await expect(model.countTokens('x')).rejects.toEqual(DISPOSED);
    expect(model.info.name).toBe('tiny');
  });

  test('while a picture is decoded or encoded', async () => {
    for (const wait of [0, 5, 150]) {
      const model = await loadModel(slow.vision, { threads: 1 });
      const encoding = expect(model.encodeImage(picture())).rejects.toEqual(DISPOSED);
      await sleep(wait);
      await disposePromptly(model);
      await encoding;
    }
  });

  test('while a prompt is read', async () => {
    const model = await loadModel(slow.text, { threads: 1 });
    const reading = Promise.all([
      expect(model.logits('x'.repeat(4000), { last: 1 })).rejects.toEqual(DISPOSED),
      expect(model.complete('x'.repeat(4000))).rejects.toEqual(DISPOSED),
    ]);
    await sleep(100);
    await disposePromptly(model);
    await reading;
  });

  test('while an answer is generated', async () => {
    const model = await loadModel(slow.text, { threads: 1 });
    const stream = model.stream('x');
    let pieces = 0;
    const reading = async () => {
      for await (const _ of stream) if (++pieces === 3) void disposePromptly(model);
    };
    await expect(reading()).rejects.toEqual(DISPOSED);
    await expect(stream.answer()).rejects.toEqual(DISPOSED);
    expect(pieces).toBeGreaterThanOrEqual(3);
    await model.dispose();
  });

  test('with requests in the queue', async () => {
    const model = await loadModel(slow.text, { threads: 1, maxSequences: 1 });
    const chat = model.chat();
    const requests: Promise<unknown>[] = [
      chat.ask('x'),
      ...Array.from({ length: 8 }, () => model.complete('x'.repeat(1000))),
      ...Array.from({ length: 8 }, () => model.encodeImage(picture())),
      ...Array.from({ length: 8 }, () => model.logits('x'.repeat(1000))),
      model.complete([{ image: picture() }, 'x']),
    ];
    const settled = Promise.allSettled(requests);
    await disposePromptly(model);
    const reasons = (await settled).map((result) => (result.status === 'rejected' ? result.reason : result));
    expect(reasons).toEqual(requests.map(() => DISPOSED));
  });

  test('at every moment of a short request', async () => {
    let answered = 0;
    for (let wait = 0; wait < 30; wait++) {
      const model = await loadModel(modelFile('tiny-f16'), { threads: 1 });
      const asked = model.chat().ask([{ image: picture() }, 'What is it?'], { maxTokens: 20 });
      const outcome = asked.catch((error: unknown) => error);
      await sleep(wait);
      await model.dispose();
      const result = await outcome;
      if (result instanceof Error) expect(result).toEqual(DISPOSED);
      else answered += (result as Answer).tokens.length > 0 ? 1 : 0;
    }
    expect(answered).toBeLessThan(30);
  });
});

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
