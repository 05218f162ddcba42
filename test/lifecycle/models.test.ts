import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { loadModel } from '../../lib/index.js';
import { modelFile, picture } from '../files.js';
import { expectNoUnhandledRejections } from '../unit/rejections.js';
import { SlowModels } from './slow-models.js';

expectNoUnhandledRejections();

const PROMPT = 'the narrow harbour';

async function tokensOf(file: string): Promise<number[]> {
  const model = await loadModel(modelFile(file), { threads: 1 });
  const { tokens } = await model.complete(PROMPT, { maxTokens: 24 });
  await model.dispose();
  return [...tokens];
}

test('several models at once answer as each alone', async () => {
  const files = ['tiny-f32', 'wide-f32', 'tiny-f16', 'tiny-f32'];
  const alone: number[][] = [];
  for (const file of files) alone.push(await tokensOf(file));
  expect(await Promise.all(files.map(tokensOf))).toEqual(alone);
});

test('a picture encoded by one model serves another with the same weights', async () => {
  const [one, two] = await Promise.all([
    loadModel(modelFile('tiny-f32'), { threads: 1 }),
    loadModel(modelFile('tiny-f32'), { threads: 1 }),
  ]);
  const image = await one.encodeImage(picture());
  await one.dispose();
  const content = [{ image }, 'What is it?'];
  const answer = await two.complete(content, { maxTokens: 12 });
  expect(answer.tokens).toEqual(
    (await two.complete([{ image: picture() }, 'What is it?'], { maxTokens: 12 })).tokens,
  );
  await two.dispose();
});

test.each([true, false])('worker threads have models of their own (disposed: %s)', async (dispose) => {
  const expected = await Promise.all([tokensOf('tiny-f32'), tokensOf('wide-f32'), tokensOf('tiny-f32')]);
  const answers = ['tiny-f32', 'wide-f32'].map(async (name) => {
    const worker = answerWorker({ file: modelFile(name), prompt: PROMPT, maxTokens: 24, dispose });
    // Where this thread was busy, the last message and the exit arrive in one go, before anyone could listen anew.
    const messages: unknown[] = [];
    worker.on('message', (message) => messages.push(message));
    expect(await once(worker, 'exit')).toEqual([0]);
    return messages.at(-1);
  });
  expect(await Promise.all([...answers, tokensOf('tiny-f32')])).toEqual(expected);
});

test('a worker thread can be ended while it loads, reads and answers', async () => {
  const slow = new SlowModels();
  try {
    for (const prompt of ['x', 'x'.repeat(3000)]) {
      const worker = answerWorker({ file: slow.text, prompt, maxTokens: 4000, dispose: true });
      await once(worker, 'message');
      await new Promise((resolve) => setTimeout(resolve, 100));
      const start = performance.now();
      await worker.terminate();
      expect(performance.now() - start).toBeLessThan(1000);
    }
    for (const wait of [0, 20, 40, 60, 80]) {
      const worker = answerWorker({ file: slow.text, prompt: 'x', maxTokens: 4000, dispose: true });
      await once(worker, 'online');
      await new Promise((resolve) => setTimeout(resolve, wait));
      await worker.terminate();
    }
  } finally {
    slow.remove();
  }
  expect(await tokensOf('tiny-f32')).toHaveLength(24);
});

function answerWorker(workerData: {
  file: string;
  prompt: string;
  maxTokens: number;
  dispose: boolean;
}): Worker {
  return new Worker(new URL('./answer-worker.mjs', import.meta.url), { workerData });
}
