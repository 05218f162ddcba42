import { readFileSync } from 'node:fs';
import sharp from 'sharp';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Content } from '../../lib/index.js';
import { createModel } from '../../lib/load.js';
import type { NativeModelInfo } from '../../lib/native.js';
import { FakeAddon } from './fake-addon.js';
import { PictureServer } from './picture-server.js';
import { expectNoUnhandledRejections } from './rejections.js';

// The server of these tests is on this machine; which addresses are refused is tested elsewhere.
vi.mock('../../lib/private-address.js', () => ({ isPrivateAddress: () => false }));

expectNoUnhandledRejections();

const png = readFileSync(new URL('../fixtures/cases/01_square/image_0.png', import.meta.url));

let server: PictureServer;
beforeAll(async () => {
  server = await PictureServer.start({
    '/a.png': (_, response) => response.end(png),
    '/text': (_, response) => response.end('no picture'),
    '/silent': () => {},
  });
});
afterAll(() => server.stop());
beforeEach(() => {
  server.requests.length = 0;
});

async function setUp(info: Partial<NativeModelInfo> = {}) {
  const addon = new FakeAddon(info);
  addon.answers = ['a', 'b'];
  return { addon, model: await createModel(addon, 'fake.gguf') };
}

describe('with fetchImages', () => {
  test('every kind of request takes pictures from the network, each once', async () => {
    const { addon, model } = await setUp({ vocabSize: 300 });
    const url = server.url('/a.png');
    const content: Content = [
      { image: url },
      { image: url.href, mode: 'pad' },
      { type: 'image_url', image_url: url.href },
      { type: 'image_url', image_url: { url: url.href } },
    ];
    const options = { fetchImages: true };
    const fetched = () => server.requests.splice(0).length;
    await model.complete(content, options);
    expect(fetched()).toBe(4);
    await model.chat().ask(content, options);
    expect(fetched()).toBe(4);
    await model.logits(content, { ...options, last: 1 });
    expect(fetched()).toBe(4);
    expect(await model.countTokens(content, options)).toBe(1 + 10 + 2 + 10 + 10);
    expect(fetched()).toBe(4);
    const encoded = await model.encodeImage(url, options);
    expect(fetched()).toBe(1);

    const { data } = await sharp(png).removeAlpha().raw().toBuffer({ resolveWithObject: true });
    expect(addon.encodes).toHaveLength(3 * 4 + 1);
    for (const { pixels } of addon.encodes) expect(Buffer.compare(pixels, data)).toBe(0);
    expect(await model.encodeImage(encoded, options)).toEqual(encoded);
  });

  test('what is fetched has to be a picture', async () => {
    const { model } = await setUp();
    const content = [{ image: server.url('/text') }];
    await expect(model.complete(content, { fetchImages: true })).rejects.toMatchObject({
      code: 'ERR_XGENMM_IMAGE_DECODE',
    });
  });

  test('a failed fetch rejects, and leaves a chat as it was', async () => {
    const { addon, model } = await setUp();
    const image = server.url('/missing');
    const options = { fetchImages: true };
    const chat = model.chat();
    const failing = [
      model.complete([{ image }], options),
      chat.ask([{ image }], options),
      model.logits([{ image }], options),
      model.countTokens([{ image }], options),
      model.encodeImage(image, options),
    ];
    for (const failed of failing) {
      const error = await failed.catch((error) => error);
      expect(error).toMatchObject({
        code: 'ERR_XGENMM_IMAGE_FETCH',
        message: expect.stringContaining('status 404'),
      });
      expect(error.stack).toContain('fetched-pictures.test.ts');
    }
    expect(chat.history).toEqual([]);
    expect(addon.prompts).toEqual([]);
  });

  test('a signal ends it', async () => {
    const { model } = await setUp();
    const controller = new AbortController();
    const { signal } = controller;
    const image = server.url('/silent');
    const options = { fetchImages: true, signal };
    const waiting = [
      model.complete([{ image }], options),
      model.chat().ask([{ image }], options),
      model.logits([{ image }], options),
      model.encodeImage(image, options),
    ].map((asked) => expect(asked).rejects.toBe('enough'));
    while (server.requests.length < 4) await new Promise((resolve) => setTimeout(resolve, 5));
    controller.abort('enough');
    await Promise.all(waiting);
  });

  test('nothing is fetched for what cannot be answered', async () => {
    const options = { fetchImages: true };
    const image = { image: server.url('/a.png') };
    const { model: textOnly } = await setUp({ variant: '', imageMode: '' });
    const unsupported = { code: 'ERR_XGENMM_MODEL_UNSUPPORTED' };
    await expect(textOnly.complete([image], options)).rejects.toMatchObject(unsupported);
    await expect(textOnly.encodeImage(image.image, options)).rejects.toMatchObject(unsupported);
    await expect(textOnly.countTokens([image], options)).rejects.toMatchObject(unsupported);

    const { model } = await setUp({ contextSize: 64 });
    const overflow = { code: 'ERR_XGENMM_CONTEXT_OVERFLOW' };
    await expect(model.complete([image, 'x'.repeat(100)], options)).rejects.toMatchObject(overflow);
    await expect(model.complete([{ special: '<|none|>' }, image], options)).rejects.toThrow('no added token');
    expect(server.requests).toEqual([]);
    await expect(model.complete(Array(50).fill(image), options)).rejects.toMatchObject(overflow);
    expect(server.requests).toHaveLength(7);
  });
});

test('without it nothing is fetched', async () => {
  const { model } = await setUp();
  const image = server.url('/a.png');
  const refused = {
    code: 'ERR_XGENMM_INVALID_ARGUMENT',
    message: expect.stringContaining('fetched from the network only with the option fetchImages: true'),
  };
  for (const part of [
    { image },
    { image: image.href },
    { type: 'image_url', image_url: image.href },
  ] as const) {
    expect(() => model.stream([part])).toThrow(expect.objectContaining(refused));
    expect(() => model.chat().stream([part], { fetchImages: false })).toThrow(
      expect.objectContaining(refused),
    );
    await expect(model.logits([part])).rejects.toMatchObject(refused);
    await expect(model.countTokens([part])).rejects.toMatchObject(refused);
  }
  await expect(model.encodeImage(image)).rejects.toMatchObject(refused);
  await expect(model.countTokens('x', { fetchImages: 1 as never })).rejects.toThrow(
    'Expected a boolean for fetchImages in model.countTokens(), received 1',
  );
  expect(server.requests).toEqual([]);
});
