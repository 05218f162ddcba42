import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type Answer,
  type EncodedImage,
  type GenerateOptions,
  loadModel,
  type Model,
} from '../../lib/index.js';
import { modelFile } from '../files.js';
import { Random } from '../random.js';
import { expectNoUnhandledRejections } from '../unit/rejections.js';

expectNoUnhandledRejections();

const CHATS = 8;
const ROUNDS = 20;

/** A picture of its own shape and colours for each k. */
function raw(k: number) {
  const [width, height] = [60 + 17 * k, 150 - 13 * k];
  const data = Uint8Array.from({ length: width * height * 3 }, (_, i) => (i * (2 * k + 3) + i / 90) % 256);
  return { data, width, height, channels: 3 as const };
}

/** Half of the conversations are greedy, half drawn; they differ in picture, mode, question and length. */
const conversations = Array.from({ length: CHATS }, (_, k) => {
  const sampling: GenerateOptions =
    k % 2 === 0 ? { temperature: 0 } : { temperature: 0.9, topP: 0.95, seed: 100 + k, logprobs: 2 };
  const mode = k % 3 === 0 ? ('squash' as const) : ('anyres' as const);
  return {
    question: [{ image: raw(k), mode }, 'What is this? '.repeat(1 + (k % 4))],
    options: { maxTokens: 10 + k, repetitionPenalty: 1.1, ...sampling },
  };
});

/** Both turns of a conversation; `begin` is called as the second begins and gives its signal. */
async function converse(model: Model, k: number, begin?: () => AbortSignal): Promise<Answer[]> {
  const { question, options } = conversations[k] as (typeof conversations)[number];
  const chat = model.chat();
  const first = await chat.ask(question, options);
  return [first, await chat.ask('And now?', { ...options, signal: begin?.() })];
}

function comparable({ text, tokens, finishReason, logprobs, usage }: Answer) {
  const { promptTokens, imageTokens, completionTokens } = usage;
  return { text, tokens, finishReason, logprobs, promptTokens, imageTokens, completionTokens };
}

describe('batching is invisible', () => {
  const alone: Answer[][] = [];
  beforeAll(async () => {
    for (let k = 0; k < CHATS; k++) {
      const model = await loadModel(modelFile('tiny-f32'), { threads: 1, maxSequences: 1 });
      alone.push(await converse(model, k));
      await model.dispose();
    }
  });

  test('the conversations differ', () => {
    const answers = alone.map(([first]) => first?.text);
    expect(new Set(answers).size).toBe(CHATS);
  });

  test(`${CHATS} conversations in ${ROUNDS} random interleavings with random cancels`, {
    timeout: 300_000,
  }, async () => {
    const random = new Random(20);
    let [finished, cancelled] = [0, 0];
    const counts = [1, 2, 3, 8];
    const models = await Promise.all(
      counts.map((maxSequences) => loadModel(modelFile('tiny-f32'), { threads: 1, maxSequences })),
    );
    for (let round = 0; round < ROUNDS; round++) {
      const model = models[round % models.length] as Model;
      const talks = conversations.map(async (_, k) => {
        await sleep(random.below(60));
        if (random.below(3) > 0) {
          const answers = await converse(model, k);
          expect(answers.map(comparable)).toEqual(alone[k]?.map(comparable));
          finished++;
          return;
        }
        const controller = new AbortController();
        const reason = new Error(`round ${round}, chat ${k}`);
        const talk = converse(model, k, () => {
          setTimeout(() => controller.abort(reason), random.below(20));
          return controller.signal;
        });
        const ended = await talk.catch((error) => error as unknown);
        if (ended === reason) cancelled++;
        else expect((ended as Answer[]).map(comparable)).toEqual(alone[k]?.map(comparable));
      });
      await Promise.all(talks);
    }
    expect(finished).toBeGreaterThan(ROUNDS);
    expect(cancelled).toBeGreaterThan(0);
    await Promise.all(models.map((model) => model.dispose()));
  });
});

describe('what is remembered', () => {
  let model: Model;
  beforeAll(async () => {
    model = await loadModel(modelFile('tiny-f32'), { threads: 1, maxSequences: 3 });
  });
  afterAll(() => model.dispose());

  test('a second turn about the same picture: no vision, and only the new tokens are read', async () => {
    const chat = model.chat();
    const first = await chat.ask([{ image: raw(1) }, 'What is this?'], { maxTokens: 8 });
    expect(first.timings.vision).toBeGreaterThan(0);
    expect(first.timings.resample).toBeGreaterThan(0);
    const before = chat.tokenCount;
    const second = await chat.ask('And the colour?', { maxTokens: 8 });
    expect(second.timings).toMatchObject({ decode: 0, preprocess: 0, vision: 0, resample: 0 });
    expect(second.usage.imageTokens).toBe(first.usage.imageTokens);
    // All but the last token of the answer, which was never run, and what closes it.
    expect(second.usage.cachedTokens).toBe(before - 2);
  });

  test('the same picture in another chat: no vision, and the common beginning is read once', async () => {
    const picture = { image: raw(2) };
    const [a, b] = [model.chat(), model.chat()];
    const first = await a.ask([picture, 'What is this?'], { maxTokens: 4 });
    const second = await b.ask([picture, 'Where is this?'], { maxTokens: 4 });
    expect(second.timings).toMatchObject({ vision: 0, resample: 0 });
    expect(second.timings.preprocess).toBeGreaterThan(0);
    expect(second.usage.cachedTokens).toBeGreaterThan(second.usage.imageTokens);
    // The first chat has lost nothing.
    const third = await a.ask('Why?', { maxTokens: 4 });
    expect(third.usage.cachedTokens).toBe(first.usage.promptTokens + first.tokens.length - 1);
  });

  test('two chats that ask at the same time read the common beginning once', async () => {
    const picture = { image: await model.encodeImage(raw(3)) };
    const answers = await Promise.all(
      ['What?', 'Where?', 'Who?'].map((text) => model.chat().ask([picture, text], { maxTokens: 4 })),
    );
    const read = answers.map(({ usage }) => usage.promptTokens - usage.cachedTokens);
    const [most = 0, ...others] = read.toSorted((a, b) => b - a);
    expect(most).toBeGreaterThan(picture.image.tokenCount);
    for (const count of others) expect(count).toBeLessThan(picture.image.tokenCount);
  });

  test('a fork reads nothing that its chat has read, and both keep what they have', async () => {
    // With slots to spare: where there are none, who speaks takes from who is silent.
    const model = await loadModel(modelFile('tiny-f32'), { threads: 1, maxSequences: 3 });
    const chat = model.chat();
    await chat.ask([{ image: raw(4) }, 'What is this?'], { maxTokens: 6 });
    const known = chat.tokenCount - 2;
    const fork = chat.fork();
    const [a, b] = [
      await chat.ask('And then?', { maxTokens: 6 }),
      await fork.ask('Really?', { maxTokens: 6 }),
    ];
    expect(a.usage.cachedTokens).toBe(known);
    expect(b.usage.cachedTokens).toBeGreaterThanOrEqual(known);
    const again = await chat.ask('Sure?', { maxTokens: 6 });
    const unrun = a.finishReason === 'length' ? 1 : 0;
    expect(again.usage.cachedTokens).toBe(a.usage.promptTokens + a.tokens.length - unrun);
    await model.dispose();
  });

  test('what was cancelled while it was read stays usable', async () => {
    const controller = new AbortController();
    const text = 'a long story about a harbour '.repeat(100);
    const seen: number[] = [];
    const onProgress = ({ fraction }: { fraction: number }) => {
      seen.push(fraction);
      if (fraction > 0 && fraction < 1) controller.abort(new Error('enough'));
    };
    await expect(model.complete(text, { signal: controller.signal, onProgress })).rejects.toThrow('enough');
    const { usage } = await model.complete(text, { maxTokens: 1 });
    expect(usage.cachedTokens).toBeGreaterThan(0);
    expect(usage.cachedTokens).toBeLessThan(usage.promptTokens);
  });

  test('pictures in a row and at once, over a warm cache, never mix', async () => {
    const fresh: EncodedImage[] = [];
    for (const k of [0, 1, 2, 3]) {
      const other = await loadModel(modelFile('tiny-f32'), { threads: 1 });
      fresh.push(await other.encodeImage(raw(k)));
      await other.dispose();
    }
    for (const order of [
      [0, 1, 2, 3],
      [3, 0, 2, 1],
      [1, 1, 0, 3],
    ]) {
      for (const k of order) expect(await model.encodeImage(raw(k))).toEqual(fresh[k]);
      const together = await Promise.all(order.map((k) => model.encodeImage(raw(k))));
      expect(together).toEqual(order.map((k) => fresh[k]));
    }
    // The same picture in another mode, and others with the same bytes in another shape, are other pictures.
    const { data } = raw(0);
    const wide = { data: data.subarray(0, 900 * 3), width: 90, height: 10, channels: 3 as const };
    const tall = { ...wide, width: 10, height: 90 };
    const modes = ['anyres', 'squash', 'pad'] as const;
    const variants = [
      ...(await Promise.all(modes.map((mode) => model.encodeImage(wide, { mode })))),
      await model.encodeImage(tall),
    ];
    expect(new Set(variants.map(({ embeddings }) => embeddings.slice(-96).join())).size).toBe(4);
  });
});
