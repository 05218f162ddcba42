import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { NativeEngine, NativeEvent, NativeLoadOptions, NativeModule } from '../../lib/native.js';
import { modelFile, root } from '../files.js';
import { GgufFile, VALUE_TYPES } from '../gguf-file.js';
import { TINY_ALONE } from '../load-options.js';

const addon = createRequire(import.meta.url)(join(root, 'build', 'Release', 'xgenmm.node')) as NativeModule;

/** An engine of the bare addon and everything that it says. */
class BareEngine {
  readonly events: NativeEvent[] = [];
  readonly #target = new EventTarget();
  readonly native: NativeEngine;

  constructor(options: Partial<NativeLoadOptions> = {}) {
    this.native = addon.createEngine({ ...TINY_ALONE, ...options }, (event) => {
      this.events.push(event);
      this.#target.dispatchEvent(new Event(`${event.type} ${event.request}`));
    });
  }

  async until<T extends NativeEvent['type']>(
    type: T,
    request: number,
  ): Promise<Extract<NativeEvent, { type: T }>> {
    const find = () => this.events.find((event) => event.type === type && event.request === request);
    if (find() === undefined) await once(this.#target, `${type} ${request}`);
    return find() as Extract<NativeEvent, { type: T }>;
  }
}

const SIDE = 600;

/** Starts encoding a picture of one colour. */
function encodeSquare(engine: BareEngine, request: number, value = 0): void {
  const pixels = new Uint8Array(SIDE * SIDE * 3).fill(value);
  engine.native.encodeImage(request, pixels, SIDE, SIDE, 'anyres');
}

const coded = (code: string, message = /./) =>
  expect.objectContaining({ code: `ERR_XGENMM_${code}`, message: expect.stringMatching(message) });

test('a number that is in use is refused, and what it stands for goes on', async () => {
  const engine = new BareEngine();
  const encode = (request: number) => encodeSquare(engine, request);
  const refused = coded('INVALID_ARGUMENT');
  // While it loads: 0 is the load.
  expect(() => encode(0)).toThrow(refused);
  await engine.until('loaded', 0);
  encode(1);
  expect(() => encode(1)).toThrow(refused);
  expect(() => engine.native.computeLogits(1, { tokens: Int32Array.of(5), images: [] }, 1, false)).toThrow(
    refused,
  );
  encode(2);
  await Promise.all([engine.until('encoded', 1), engine.until('encoded', 2)]);
  // It is free again.
  encode(1);
  await Promise.all([engine.native.dispose(), engine.native.dispose()]);
  await engine.native.dispose();
  const last = engine.events.filter(({ type }) => type === 'encoded' || type === 'error');
  expect(last.map(({ request }) => request)).toEqual([1, 2, 1]);
});

describe('what meets the weights', () => {
  test('is summed up by an engine that was loaded for it', async () => {
    const engine = new BareEngine({ importance: true });
    await engine.until('loaded', 0);
    expect(engine.native.importance()).toEqual([]);
    encodeSquare(engine, 1);
    engine.native.computeLogits(2, { tokens: Int32Array.of(5, 6, 7), images: [] }, 2, false);
    const { columns, rows } = await engine.until('encoded', 1);
    await engine.until('logits', 2);
    const sums = engine.native.importance();
    const counts = Object.fromEntries(sums.map(({ name, count }) => [name, count]));
    const { text, vision, resampler } = addon.inspectFile(modelFile('tiny-f32'), 0);
    if (text === undefined || vision === undefined || resampler === undefined)
      throw new Error('tiny has all');
    const tiles = 1 + columns * rows;
    expect(counts).toMatchObject({
      'blk.0.attn_qkv.weight': 3,
      'output.weight': 2,
      'v.blk.0.ffn_down.weight': tiles * Math.floor(vision.tile / vision.patch) ** 2,
      'resampler.proj.weight': tiles * resampler.latents,
    });
    expect(sums).toHaveLength(4 * text.layers + 1 + 6 * vision.layers + 5 * resampler.layers + 1);
    for (const { sums: values } of sums) {
      expect(values).toBeInstanceOf(Float32Array);
      expect(values.every((value) => value >= 0 && value < Infinity)).toBe(true);
      expect(values.some((value) => value > 0)).toBe(true);
    }
    expect(sums.find(({ name }) => name === 'blk.0.ffn_down.weight')?.sums).toHaveLength(text.mlpWidth);
    expect(engine.native.importance()).toEqual(sums);
    const gone = engine.native.dispose();
    expect(() => engine.native.importance()).toThrow(coded('DISPOSED'));
    await gone;
    expect(() => engine.native.importance()).toThrow(coded('DISPOSED'));
  });

  test('is not known to another', async () => {
    const engine = new BareEngine();
    await engine.until('loaded', 0);
    expect(() => engine.native.importance()).toThrow(coded('INVALID_ARGUMENT', /loaded with importance/));
    await engine.native.dispose();
    const options = { ...TINY_ALONE, importance: 1 as unknown as boolean };
    expect(() => addon.createEngine(options, () => {})).toThrow(
      coded('INVALID_ARGUMENT', /a boolean for importance/),
    );
  });

  test('can be read while requests run, are cancelled and are ended', async () => {
    const engine = new BareEngine({ importance: true, maxSequences: 2 });
    await engine.until('loaded', 0);
    const counts = new Map<string, number>();
    const look = () => {
      for (const { name, count } of engine.native.importance()) {
        expect(count).toBeGreaterThanOrEqual(counts.get(name) ?? 1);
        counts.set(name, count);
      }
    };
    const tokens = Int32Array.from({ length: 3000 }, (_, i) => (i * 31) % 600);
    engine.native.computeLogits(1, { tokens, images: [] }, 0, true);
    encodeSquare(engine, 2, 1);
    encodeSquare(engine, 3, 2);
    await engine.until('progress', 1);
    look();
    engine.native.cancel(1);
    engine.native.cancel(3);
    look();
    // On a busy machine it may have got ready in time.
    await Promise.race([engine.until('cancelled', 1), engine.until('logits', 1)]);
    await engine.until('encoded', 2);
    look();
    expect(counts.get('blk.0.attn_qkv.weight')).toBeGreaterThan(0);
    expect(counts.get('blk.0.attn_qkv.weight')).toBeLessThanOrEqual(3000);
    engine.native.computeLogits(4, { tokens, images: [] }, 0, true);
    await engine.until('progress', 4);
    await engine.native.dispose();
    const ends = engine.events.filter(({ request, type }) => request === 4 && type !== 'progress');
    expect(ends).toHaveLength(1);
  });
});

describe('hidden states', () => {
  test('come with the logits when they are asked for', async () => {
    const engine = new BareEngine();
    const { width } = (await engine.until('loaded', 0)).info;
    const layers = addon.inspectFile(modelFile('tiny-f32'), 0).text?.layers as number;
    const prompt = { tokens: Int32Array.of(5, 6, 7, 8, 9), images: [] };
    engine.native.computeLogits(1, prompt, 0, true);
    engine.native.computeLogits(2, prompt, 2, true);
    engine.native.computeLogits(3, prompt, 2, false);
    const all = await engine.until('logits', 1);
    const some = await engine.until('logits', 2);
    const none = await engine.until('logits', 3);
    expect(all.hidden).toHaveLength((layers + 1) * 5 * width);
    expect(some.hidden).toHaveLength((layers + 1) * 2 * width);
    for (let layer = 0; layer <= layers; layer++) {
      expect(some.hidden.subarray(layer * 2 * width, (layer + 1) * 2 * width)).toEqual(
        all.hidden.subarray((layer * 5 + 3) * width, (layer + 1) * 5 * width),
      );
    }
    // What enters the first layer is the token's embedding.
    const { data } = GgufFile.read(modelFile('tiny-f32')).tensor('token_embd.weight');
    const embeddings = new Float32Array(new Uint8Array(data).buffer);
    expect(all.hidden.subarray(0, 5 * width)).toEqual(embeddings.subarray(5 * width, 10 * width));
    expect(none.hidden).toHaveLength(0);
    expect(none.logits).toEqual(some.logits);
    const unsaid = undefined as unknown as boolean;
    expect(() => engine.native.computeLogits(4, prompt, 2, unsaid)).toThrow(
      coded('INVALID_ARGUMENT', /a boolean for hidden/),
    );
    await engine.native.dispose();
  });

  test('are refused where they would fill the memory', async () => {
    const length = 2 ** 20;
    const folder = mkdtempSync(join(tmpdir(), 'xgen-mm-'));
    const textPath = join(folder, 'long.gguf');
    const positions = Buffer.alloc(4);
    positions.writeUInt32LE(length);
    const file = GgufFile.read(modelFile('tiny-f32')).set('phi3.context_length', VALUE_TYPES.u32, positions);
    writeFileSync(textPath, file.serialise().bytes);
    const engine = new BareEngine({ textPath, contextSize: length });
    await engine.until('loaded', 0);
    const prompt = { tokens: new Int32Array(length).fill(7), images: [] };
    engine.native.computeLogits(1, prompt, 0, true);
    expect(await engine.until('error', 1)).toMatchObject({
      code: 'ERR_XGENMM_INVALID_ARGUMENT',
      message:
        'expected at most 699050 positions whose hidden states are wanted, received 1048576: ask for fewer of the last ones',
    });
    await engine.native.dispose();
    rmSync(folder, { recursive: true });
  });
});
