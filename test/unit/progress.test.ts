import { describe, expect, test } from 'vitest';
import type { Content, Model, Progress } from '../../lib/index.js';
import { createModel } from '../../lib/load.js';
import { withProgress } from '../../lib/progress.js';
import { FakeAddon, tick } from './fake-addon.js';
import { expectNoUnhandledRejections } from './rejections.js';

expectNoUnhandledRejections();

const image = { image: { data: new Uint8Array(3), width: 1, height: 1, channels: 3 } } as const;

async function setUp(...answers: string[]) {
  const addon = new FakeAddon();
  addon.answers = answers;
  return { addon, model: await createModel(addon, 'fake.gguf') };
}

const PROMPT: Progress[] = [
  { stage: 'prompt', fraction: 0.5 },
  { stage: 'prompt', fraction: 1 },
];

function images(...fractions: number[]): Progress[] {
  return fractions.map((fraction) => ({ stage: 'images', fraction }));
}

describe('a request tells how far it is', () => {
  test.each<[string, Content, Progress[]]>([
    ['text', 'x', PROMPT],
    ['one picture', [image, 'x'], [...images(0.5, 1), ...PROMPT]],
    [
      'several',
      [image, image, 'x', image, image],
      [...images(1 / 8, 2 / 8, 3 / 8, 4 / 8, 5 / 8, 6 / 8, 7 / 8, 1), ...PROMPT],
    ],
  ])('%s', async (_, content, expected) => {
    for (const ask of [
      (model: Model, onProgress: (progress: Progress) => void) => model.complete(content, { onProgress }),
      (model: Model, onProgress: (progress: Progress) => void) => model.chat().ask(content, { onProgress }),
    ]) {
      const { model } = await setUp('a');
      const told: Progress[] = [];
      await ask(model, (progress) => told.push(progress));
      expect(told).toEqual(expected);
    }
  });

  test('pictures that are encoded already take none', async () => {
    const { model } = await setUp('a', 'b');
    const told: Progress[] = [];
    const onProgress = (progress: Progress) => told.push(progress);
    const encoded = { image: await model.encodeImage(image.image, { onProgress }) };
    expect(told.splice(0)).toEqual(images(0.5, 1));
    await model.encodeImage(encoded.image, { onProgress });
    expect(told).toEqual([]);
    await model.complete([encoded, 'x'], { onProgress });
    expect(told.splice(0)).toEqual(PROMPT);
    await model.complete([encoded, image, 'x'], { onProgress });
    expect(told).toEqual([...images(0.5, 1), ...PROMPT]);
  });

  test('the prompt is read before the first piece', async () => {
    const { addon, model } = await setUp('a');
    addon.fractions = [0.5, 0.5];
    const seen: unknown[] = [];
    const stream = model.stream('x', { onProgress: ({ fraction }) => seen.push(fraction) });
    for await (const piece of stream) seen.push(piece);
    expect(seen).toEqual([0.5, 1, 'a']);
  });
});

describe('only forward', () => {
  test.each(['a', ''])('a stage ends with 1, whatever the engine says last: answer "%s"', async (answer) => {
    const { addon, model } = await setUp(answer);
    addon.fractions = [0.5, 0.5];
    const told: Progress[] = [];
    await model.complete([image, 'x'], { onProgress: (progress) => told.push(progress) });
    expect(told).toEqual([...images(0.5, 1), ...PROMPT]);
  });

  test('what is not more is left out, what is too much is cut', async () => {
    const told: Progress[] = [];
    await withProgress(
      (progress) => told.push(progress),
      undefined,
      async (report) => {
        for (const fraction of [0, 0, 0.25, 0.125, 0.25, 1.5, 1]) report('images', fraction);
        report('prompt', 0.5);
      },
    );
    expect(told).toEqual([...images(0, 0.25, 1), { stage: 'prompt', fraction: 0.5 }]);
  });

  test('nothing is told once the signal aborted', async () => {
    const { model } = await setUp();
    const controller = new AbortController();
    const told: Progress[] = [];
    const asked = model.complete([image, image, 'x'], {
      signal: controller.signal,
      onProgress: (progress) => {
        told.push(progress);
        if (progress.fraction === 0.5) controller.abort(new Error('enough'));
      },
    });
    await expect(asked).rejects.toThrow('enough');
    await tick();
    expect(told).toEqual(images(0.25, 0.5));
  });
});

describe('a callback that throws', () => {
  const fault = new Error('mine');

  test.each(['images', 'prompt'] as const)('while %s are worked on, cancels the request', async (stage) => {
    const { addon, model } = await setUp();
    const onProgress = (progress: Progress) => {
      if (progress.stage === stage) throw fault;
    };
    const chat = model.chat();
    for (const asked of [model.complete([image], { onProgress }), chat.ask([image], { onProgress })]) {
      await expect(asked).rejects.toBe(fault);
    }
    expect(addon.prompts).toHaveLength(stage === 'images' ? 0 : 2);
    expect(chat.history).toEqual([]);
    addon.answers = ['a'];
    expect((await chat.ask('x')).text).toBe('a');
  });

  test('fails the stream and both its ends', async () => {
    const { model } = await setUp();
    const stream = model.stream('x', {
      onProgress: () => {
        throw fault;
      },
    });
    const loop = (async () => {
      for await (const _ of stream);
    })();
    await expect(loop).rejects.toBe(fault);
    await expect(stream.answer()).rejects.toBe(fault);
  });

  test('even what is no error, and after the work was done', async () => {
    const { model } = await setUp('');
    const thrown = model.complete('x', {
      onProgress: ({ fraction }) => {
        if (fraction === 1) throw undefined;
      },
    });
    expect(
      await thrown.then(
        () => 'answered',
        (reason) => reason,
      ),
    ).toBe(undefined);
    const encoding = model.encodeImage(image.image, {
      onProgress: ({ fraction }) => {
        if (fraction === 1) throw fault;
      },
    });
    await expect(encoding).rejects.toBe(fault);
  });
});

test('encodeImage refuses what is no function', async () => {
  const { model } = await setUp();
  await expect(model.encodeImage(image.image, { onProgress: 7 as never })).rejects.toThrow(
    'Expected a function for onProgress in model.encodeImage(), received 7',
  );
});
