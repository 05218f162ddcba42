import { pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';
import { loadAddon } from '../../lib/addon.js';
import { createModel, loadModel, type ModelSource, openEngine } from '../../lib/load.js';
import { Model } from '../../lib/model.js';
import { FakeAddon, nativeError, tick } from './fake-addon.js';
import { expectNoUnhandledRejections } from './rejections.js';

expectNoUnhandledRejections();

describe('loading', () => {
  test('defaults', async () => {
    const addon = new FakeAddon();
    const model = await createModel(addon, 'fake.gguf');
    expect(addon.loads).toEqual([
      {
        textPath: 'fake.gguf',
        device: 'auto',
        gpuLayers: -1,
        visionDevice: 'auto',
        threads: 0,
        contextSize: 0,
        maxSequences: 2,
        kvType: 'auto',
        tokenizerStyle: '',
        slidingWindow: -1,
        importance: false,
      },
    ]);
    expect(model.info).toMatchObject({
      variant: 'instruct-interleave',
      imageMode: 'anyres',
      contextSize: 2000,
    });
  });

  test('two files and every option', async () => {
    const addon = new FakeAddon();
    const fractions: number[] = [];
    const model = await createModel(
      addon,
      { text: 'text.gguf', vision: pathToFileURL('vision.gguf') },
      {
        device: 'cuda',
        gpuLayers: 20,
        visionDevice: 'cpu',
        threads: 3,
        contextSize: 100,
        maxSequences: 1,
        kvType: 'q8_0',
        imageMode: 'pad',
        tokenizerStyle: 'fast',
        slidingWindow: 0,
        onProgress: (fraction) => fractions.push(fraction),
        signal: new AbortController().signal,
      },
    );
    expect(addon.loads[0]).toEqual({
      textPath: 'text.gguf',
      visionPath: expect.stringMatching(/vision\.gguf$/),
      device: 'cuda',
      gpuLayers: 20,
      visionDevice: 'cpu',
      threads: 3,
      contextSize: 100,
      maxSequences: 1,
      kvType: 'q8_0',
      tokenizerStyle: 'fast',
      slidingWindow: 0,
      importance: false,
    });
    expect(fractions).toEqual([0.5, 1]);
    expect(model.info.imageMode).toBe('pad');
  });

  test.each<[unknown, string]>([
    [undefined, 'Expected a path, a file URL or { text, vision } for the model, received undefined'],
    ['', 'Expected a path or file URL for the model, received ""'],
    [new URL('https://example.org/a.gguf'), 'Expected a file URL for the model'],
    [{ text: 'a.gguf' }, 'Expected a path or file URL for the vision part, received undefined'],
    [{ text: 'a', vision: 'b', audio: 'c' }, "Unknown option 'audio' in the model { text, vision }"],
  ])('refuses the source %o', async (source, message) => {
    await expect(createModel(new FakeAddon(), source as ModelSource)).rejects.toMatchObject({
      code: 'ERR_XGENMM_INVALID_ARGUMENT',
      message: expect.stringContaining(message),
    });
  });

  test.each<[object, string, string]>([
    [
      { device: 'gpu' },
      'ERR_XGENMM_INVALID_ARGUMENT',
      "Expected 'auto' or 'cpu' or 'cuda' or 'metal' or 'vulkan' for device in loadModel(), received \"gpu\"",
    ],
    [
      { device: 'cuda', visionDevice: 'vulkan' },
      'ERR_XGENMM_INVALID_ARGUMENT',
      "Expected 'auto', 'cpu' or 'cuda' beside device 'cuda' for visionDevice, received \"vulkan\"",
    ],
    [
      { device: 'cpu', gpuLayers: 3 },
      'ERR_XGENMM_INVALID_ARGUMENT',
      "Expected 0 beside device 'cpu' for gpuLayers, received 3",
    ],
    [{ gpuLayers: -1 }, 'ERR_XGENMM_INVALID_ARGUMENT', 'an integer from 0 to 1048576 for gpuLayers'],
    [{ gpuLayers: 2 ** 31 - 1 }, 'ERR_XGENMM_INVALID_ARGUMENT', 'an integer from 0 to 1048576 for gpuLayers'],
    [{ visionDevice: 'npu' }, 'ERR_XGENMM_INVALID_ARGUMENT', 'for visionDevice in loadModel()'],
    [{ device: 1 }, 'ERR_XGENMM_INVALID_ARGUMENT', 'for device in loadModel(), received 1'],
    [{ imageMode: 'none' }, 'ERR_XGENMM_INVALID_ARGUMENT', 'for imageMode in loadModel(), received "none"'],
    [{ gpulayers: 3 }, 'ERR_XGENMM_INVALID_ARGUMENT', "did you mean 'gpuLayers'?"],
    [{ contextsize: 3 }, 'ERR_XGENMM_INVALID_ARGUMENT', "did you mean 'contextSize'?"],
    [{ signal: {} }, 'ERR_XGENMM_INVALID_ARGUMENT', 'Expected an AbortSignal for signal in loadModel()'],
  ])('refuses %o', async (options, code, message) => {
    const rejection = { code, message: expect.stringContaining(message) };
    await expect(createModel(new FakeAddon(), 'a.gguf', options)).rejects.toMatchObject(rejection);
    const error = await loadModel('a.gguf', options).catch((error) => error);
    expect(error).toMatchObject(rejection);
    expect(error.stack.split('\n')[1]).toContain('load.test.ts');
  });

  test('failures of the engine', async () => {
    const addon = new FakeAddon();
    addon.failure.load = nativeError('ERR_XGENMM_MODEL_INVALID', 'not a GGUF file');
    await expect(createModel(addon, 'a.gguf')).rejects.toMatchObject({
      name: 'XgenmmError',
      code: 'ERR_XGENMM_MODEL_INVALID',
    });
    expect(addon.disposals).toBe(1);
    addon.createEngine = () => {
      throw nativeError('ERR_XGENMM_OUT_OF_MEMORY', 'no room');
    };
    await expect(createModel(addon, 'a.gguf')).rejects.toMatchObject({ code: 'ERR_XGENMM_OUT_OF_MEMORY' });
  });

  test('a signal stops it', async () => {
    const addon = new FakeAddon();
    const controller = new AbortController();
    const loading = createModel(addon, 'a.gguf', { signal: controller.signal });
    await tick();
    controller.abort(new Error('changed my mind'));
    await expect(loading).rejects.toThrow('changed my mind');
    expect(addon.disposals).toBe(1);
    await expect(createModel(addon, 'a.gguf', { signal: controller.signal })).rejects.toThrow(
      'changed my mind',
    );
    expect(addon.loads).toHaveLength(1);
  });

  test.each([0.5, 1])('an exception in onProgress at %d stops it', async (last) => {
    const addon = new FakeAddon();
    const onProgress = (fraction: number) => {
      if (fraction === last) throw new Error('oops');
    };
    await expect(createModel(addon, 'a.gguf', { onProgress })).rejects.toThrow('oops');
    expect(addon.disposals).toBe(1);
  });

  test('an engine to look into', async () => {
    const addon = new FakeAddon();
    addon.importance = [{ name: 'output.weight', sums: Float32Array.of(4, 9), count: 2 }];
    const engine = await openEngine(addon, 'a.gguf', { threads: 2 }, true);
    expect(addon.loads[0]).toMatchObject({ textPath: 'a.gguf', threads: 2, importance: true });
    expect(engine.importance()).toEqual(addon.importance);
    const prompt = { tokens: Int32Array.of(5, 6, 7), images: [] };
    const { hidden } = await engine.computeLogits(prompt, 2, true);
    expect(hidden.length % (2 * engine.info.width)).toBe(0);
    expect(hidden.length).toBeGreaterThan(0);
    expect((await engine.computeLogits(prompt, 2, false)).hidden).toHaveLength(0);
    const model = new Model(engine, undefined);
    await model.dispose();
    expect(() => engine.importance()).toThrow(expect.objectContaining({ code: 'ERR_XGENMM_DISPOSED' }));

    const plain = await openEngine(addon, 'a.gguf', undefined, false);
    expect(addon.loads[1]).toMatchObject({ importance: false });
    expect(() => plain.importance()).toThrow(
      expect.objectContaining({ name: 'XgenmmError', code: 'ERR_XGENMM_INVALID_ARGUMENT' }),
    );
    await plain.dispose();
  });

  test('without an addon it says what to do', () => {
    expect(() => loadAddon('/nowhere')).toThrow(
      expect.objectContaining({
        code: 'ERR_XGENMM_ADDON_UNAVAILABLE',
        message: expect.stringMatching(
          /^Expected a native addon for .*; build it with `npm rebuild xgen-mm /,
        ),
      }),
    );
  });
});
