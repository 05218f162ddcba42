import { join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { type Answer, type GenerateOptions, loadModel, type Model } from '../../lib/index.js';
import { modelFile, root } from '../files.js';
import { expectNoUnhandledRejections } from '../unit/rejections.js';

expectNoUnhandledRejections();
afterEach(() => {
  vi.unstubAllEnvs();
});

/** Says these tokens of its prompt over and over, whatever the model. */
function copying(tokens: number[]): GenerateOptions {
  return {
    logitBias: Object.fromEntries(tokens.map((token, index) => [token, 1e6 - 100 * index])),
    frequencyPenalty: 1e4,
  };
}

/** Says nothing but these tokens, so that some guesses come true. */
function babbling(tokens: number[], vocabSize: number): GenerateOptions {
  const others = Array.from({ length: vocabSize }, (_, token) => token).filter(
    (token) => !tokens.includes(token),
  );
  return { logitBias: Object.fromEntries(others.map((token) => [token, Number.NEGATIVE_INFINITY])) };
}

const TEXT = 'the light on the water went slowly over to the other side of the town where two men sat';

/** Two turns of each of several chats. */
async function converse(model: Model, together: boolean): Promise<Answer[][]> {
  const { vocabSize } = model.info;
  const tokens = [...new Set(model.tokenize(` ${TEXT}`))];
  const few = babbling(tokens.slice(0, 4), vocabSize);
  const options: GenerateOptions[] = [
    { maxTokens: 30 },
    { maxTokens: 80, logprobs: 3, ...copying(tokens) },
    { maxTokens: 40, ...few },
    { maxTokens: 40, ...few, temperature: 1.2, seed: 3, logprobs: 1, repetitionPenalty: 1.1 },
    { maxTokens: 40, ...few, temperature: 0.7, topP: 0.9, seed: 9, noRepeatNgramSize: 5 },
    { maxTokens: 80, ...copying(tokens), stop: ['water', model.detokenize(tokens.slice(5, 8)).trim()] },
  ];
  const talk = async (option: GenerateOptions) => {
    const chat = model.chat();
    const first = await chat.ask(`Say this: ${TEXT}. Again: ${TEXT}`, option);
    const stream = chat.stream('Once more.', option);
    let text = '';
    for await (const piece of stream) text += piece;
    const second = await stream.answer();
    expect(text).toBe(second.text);
    return [first, second];
  };
  if (together) return Promise.all(options.map(talk));
  const answers = [];
  for (const option of options) answers.push(await talk(option));
  return answers;
}

function comparable(talks: Answer[][], cached: boolean) {
  return talks.flat().map(({ timings: _, usage, ...answer }) => {
    const { cachedTokens, ...rest } = usage;
    return { ...answer, usage: cached ? usage : rest };
  });
}

describe.each([
  ['a tiny model', modelFile('tiny-f32')],
  ['the demo’s model', join(root, 'models', 'demo.gguf')],
])('%s', (_, file) => {
  test('answers are the same with and without speculation', { timeout: 120_000 }, async () => {
    vi.stubEnv('XGENMM_WITHOUT', 'speculation');
    const plain = await loadModel(file, { threads: 1 });
    const expected = await converse(plain, false);
    await plain.dispose();
    vi.unstubAllEnvs();
    const model = await loadModel(file, { threads: 1 });
    expect(comparable(await converse(model, false), true)).toEqual(comparable(expected, true));
    await model.dispose();
    const shared = await loadModel(file, { threads: 2, maxSequences: 3 });
    expect(comparable(await converse(shared, true), false)).toEqual(comparable(expected, false));
    await shared.dispose();
  });
});
