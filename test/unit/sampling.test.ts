import { describe, expect, test } from 'vitest';
import type { CompleteOptions } from '../../lib/index.js';
import { createModel } from '../../lib/load.js';
import type { NativeGenerateOptions } from '../../lib/native.js';
import { FakeAddon } from './fake-addon.js';
import { expectNoUnhandledRejections } from './rejections.js';

expectNoUnhandledRejections();

async function setUp(...answers: string[]) {
  const addon = new FakeAddon();
  addon.answers = answers;
  return { addon, model: await createModel(addon, 'fake.gguf') };
}

/** What the engine is given for `options`. */
async function given(options: CompleteOptions): Promise<NativeGenerateOptions | undefined> {
  const { addon, model } = await setUp('a');
  await model.complete('x', options);
  return addon.generations[0];
}

const OFF: Omit<NativeGenerateOptions, 'seed'> = {
  maxTokens: 2000,
  minTokens: 0,
  temperature: 0,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
  noRepeatNgramSize: 0,
  logitBias: { tokens: new Int32Array(), values: new Float32Array() },
  stop: [],
  logprobs: -1,
};

test('defaults: greedy, nothing else, as long as fits, a fresh seed', async () => {
  const [first, second] = [await given({}), await given({})];
  expect(first).toEqual({ ...OFF, seed: expect.any(BigInt) });
  expect(first?.seed).not.toBe(second?.seed);
});

test.each<[CompleteOptions, Partial<NativeGenerateOptions>]>([
  [
    { maxTokens: 9, minTokens: 9 },
    { maxTokens: 9, minTokens: 9 },
  ],
  [
    { maxTokens: 2 ** 31 - 1, minTokens: 2001 },
    { maxTokens: 2000, minTokens: 2000 },
  ],
  [{ minTokens: 0 }, { minTokens: 0 }],
  [{ temperature: 0.5 }, { temperature: 0.5 }],
  [{ topK: 1 }, { topK: 1 }],
  [{ topP: 1 }, { topP: 1 }],
  [{ topP: 0.25 }, { topP: 0.25 }],
  [{ minP: 0 }, { minP: 0 }],
  [{ minP: 1 }, { minP: 1 }],
  [{ repetitionPenalty: 0.5 }, { repetitionPenalty: 0.5 }],
  [{ presencePenalty: -1.5 }, { presencePenalty: -1.5 }],
  [{ frequencyPenalty: 2 }, { frequencyPenalty: 2 }],
  [{ noRepeatNgramSize: 3 }, { noRepeatNgramSize: 3 }],
  [{ seed: 7 }, { seed: 7n }],
  [{ seed: 2n ** 64n - 1n }, { seed: 2n ** 64n - 1n }],
  [{ stop: '!' }, { stop: ['!'] }],
  [{ stop: ['!', '?'] }, { stop: ['!', '?'] }],
  [{ logprobs: 0 }, { logprobs: 0 }],
  [{ logprobs: 20 }, { logprobs: 20 }],
  [
    { logitBias: { 7: -1.5, 0: 4, '32014': Number.NEGATIVE_INFINITY } },
    {
      logitBias: {
        tokens: Int32Array.of(0, 7, 32014),
        values: Float32Array.of(4, -1.5, Number.NEGATIVE_INFINITY),
      },
    },
  ],
  [{ logitBias: {} }, {}],
  [
    { logitBias: Object.assign(Object.create(null), { 5: 1 }) },
    { logitBias: { tokens: Int32Array.of(5), values: Float32Array.of(1) } },
  ],
])('%o reaches the engine', async (options, expected) => {
  expect(await given(options)).toEqual({ ...OFF, seed: expect.any(BigInt), ...expected });
});

test.each<[object, string]>([
  [{ maxTokens: 0 }, 'Expected a positive integer for maxTokens in model.stream(), received 0'],
  [{ minTokens: -1 }, 'Expected an integer of at least 0 for minTokens in model.stream(), received -1'],
  [{ minTokens: 1.5 }, 'for minTokens in model.stream(), received 1.5'],
  [
    { maxTokens: 5, minTokens: 6 },
    'Expected at most maxTokens (5) for minTokens in model.stream(), received 6',
  ],
  [{ minTokens: 2001 }, 'Expected at most maxTokens (2000) for minTokens in model.stream(), received 2001'],
  [{ temperature: -1 }, 'Expected a finite number of at least 0 for temperature'],
  [{ temperature: Number.NaN }, 'for temperature in model.stream(), received NaN'],
  [{ temperature: 1e39 }, 'for temperature in model.stream(), received 1e+39'],
  [{ temperature: '1' }, 'for temperature in model.stream(), received "1"'],
  [{ topK: 0 }, 'Expected a positive integer for topK in model.stream(), received 0'],
  [{ topK: 2.5 }, 'for topK in model.stream(), received 2.5'],
  [{ topP: 0 }, 'Expected a number above 0 and at most 1 for topP in model.stream(), received 0'],
  [{ topP: 1.01 }, 'for topP in model.stream(), received 1.01'],
  [{ topP: Number.NaN }, 'for topP in model.stream(), received NaN'],
  [{ minP: -0.1 }, 'Expected a number from 0 to 1 for minP in model.stream(), received -0.1'],
  [{ minP: 2 }, 'for minP in model.stream(), received 2'],
  [{ repetitionPenalty: 0 }, 'Expected a finite number above 0 for repetitionPenalty'],
  [
    { repetitionPenalty: Number.POSITIVE_INFINITY },
    'for repetitionPenalty in model.stream(), received Infinity',
  ],
  [
    { presencePenalty: Number.NaN },
    'Expected a finite number for presencePenalty in model.stream(), received NaN',
  ],
  [{ presencePenalty: 1e39 }, 'for presencePenalty in model.stream(), received 1e+39'],
  [
    { frequencyPenalty: Number.NEGATIVE_INFINITY },
    'for frequencyPenalty in model.stream(), received -Infinity',
  ],
  [
    { noRepeatNgramSize: 0 },
    'Expected a positive integer for noRepeatNgramSize in model.stream(), received 0',
  ],
  [{ logitBias: [1] }, 'Expected a plain object for logitBias in model.stream(), received an array of 1'],
  [
    { logitBias: new Map([[1, 1]]) },
    'Expected a plain object for logitBias in model.stream(), received an object of type Map',
  ],
  [{ logitBias: null }, 'Expected a plain object for logitBias in model.stream(), received null'],
  [
    { logitBias: { 32015: 1 } },
    'Expected token ids from 0 to 32014 for the keys of logitBias in model.stream(), received "32015"',
  ],
  [{ logitBias: { '-1': 1 } }, 'for the keys of logitBias in model.stream(), received "-1"'],
  [{ logitBias: { '1.5': 1 } }, 'for the keys of logitBias in model.stream(), received "1.5"'],
  [{ logitBias: { '01': 1 } }, 'for the keys of logitBias in model.stream(), received "01"'],
  [{ logitBias: { the: 1 } }, 'for the keys of logitBias in model.stream(), received "the"'],
  [{ logitBias: { '': 1 } }, 'for the keys of logitBias in model.stream(), received ""'],
  [
    { logitBias: { 5: Number.NaN } },
    'Expected a finite number or -Infinity for logitBias[5] in model.stream(), received NaN',
  ],
  [{ logitBias: { 5: Number.POSITIVE_INFINITY } }, 'for logitBias[5] in model.stream(), received Infinity'],
  [{ logitBias: { 5: -1e39 } }, 'for logitBias[5] in model.stream(), received -1e+39'],
  [{ logitBias: { 5: '1' } }, 'for logitBias[5] in model.stream(), received "1"'],
  [{ logitBias: { 5: undefined } }, 'for logitBias[5] in model.stream(), received undefined'],
  [{ seed: -1 }, 'Expected an integer from 0 to 2^64 - 1 for seed'],
  [{ seed: 2n ** 64n }, 'received 18446744073709551616n'],
  [{ stop: ['a', ''] }, 'Expected a non-empty string or an array of them for stop'],
  [{ logprobs: 21 }, 'Expected an integer from 0 to 20 for logprobs in model.stream(), received 21'],
  [{ logprobs: -1 }, 'for logprobs in model.stream(), received -1'],
  [{ logprobs: true }, 'for logprobs in model.stream(), received true'],
  [{ fetchImages: 1 }, 'Expected a boolean for fetchImages in model.stream(), received 1'],
  [{ onProgress: true }, 'Expected a function for onProgress in model.stream(), received true'],
  [{ parseSpecial: 1 }, 'Expected a boolean for parseSpecial'],
  [{ max_tokens: 5 }, "did you mean 'maxTokens'?"],
  [{ top_p: 0.5 }, "did you mean 'topP'?"],
])('refuses %o', async (options, message) => {
  const { addon, model } = await setUp();
  const error = { code: 'ERR_XGENMM_INVALID_ARGUMENT', message: expect.stringContaining(message) };
  expect(() => model.stream('x', options)).toThrow(expect.objectContaining(error));
  await expect(model.complete('x', options)).rejects.toMatchObject(error);
  const inChat = { ...error, message: expect.stringContaining(message.replace('model.', 'chat.')) };
  if (!('parseSpecial' in options))
    expect(() => model.chat().stream('x', options)).toThrow(expect.objectContaining(inChat));
  expect(addon.generations).toEqual([]);
});

test('options are taken as they are at the call', async () => {
  const { addon, model } = await setUp('a');
  const [stop, logitBias] = [['!'], { 5: 1 }];
  const picture = { data: new Uint8Array(3), width: 1, height: 1, channels: 3 } as const;
  const answer = model.complete([{ image: picture }], { stop, logitBias });
  stop.push('a');
  logitBias[5] = Number.NaN;
  expect((await answer).text).toBe('a');
  expect(addon.generations[0]).toMatchObject({ stop: ['!'], logitBias: { values: Float32Array.of(1) } });
});

describe('logprobs', () => {
  test('are there only when asked for', async () => {
    const { model } = await setUp('ab', 'ab', '');
    expect(await model.complete('x')).not.toHaveProperty('logprobs');
    const none = await model.complete('x', { logprobs: 0 });
    expect(none.logprobs).toEqual([
      { token: 97, logprob: -1, top: [] },
      { token: 98, logprob: -2, top: [] },
    ]);
    expect((await model.complete('x', { logprobs: 2 })).logprobs).toEqual([]);
  });

  test('list the alternatives of each token, in a chat too', async () => {
    const { model } = await setUp('ab');
    const { logprobs } = await model.chat().ask('x', { logprobs: 2 });
    expect(logprobs).toEqual([
      {
        token: 97,
        logprob: -1,
        top: [
          { token: 0, logprob: -0 },
          { token: 1, logprob: -0.5 },
        ],
      },
      {
        token: 98,
        logprob: -2,
        top: [
          { token: 2, logprob: -1 },
          { token: 3, logprob: -1.5 },
        ],
      },
    ]);
  });

  test('of an answer that was left', async () => {
    const { model } = await setUp();
    const stream = model.stream('x', { logprobs: 0 });
    for await (const _ of stream) break;
    const { tokens, logprobs } = await stream.answer();
    expect(logprobs?.map(({ token }) => token)).toEqual([...tokens]);
  });
});
