import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, test } from 'vitest';
import { loadAddon } from '../../lib/addon.js';
import type { NativeQuantizer, NativeTensorType } from '../../lib/native.js';
import { runProgram } from './program.js';

const addon = loadAddon();
const ROW = 256;
/** Bytes of a row. */
const ROW_BYTES: Record<NativeTensorType, number> = {
  f32: 1024,
  f16: 512,
  bf16: 512,
  q8_0: 272,
  q6_K: 210,
  q5_K: 176,
  q4_K: 144,
  q4_0: 144,
  iq4_nl: 144,
};
const REFUSED = coded('ERR_XGENMM_INVALID_ARGUMENT');
const DISPOSED = coded('ERR_XGENMM_DISPOSED');

let made: NativeQuantizer[] = [];
afterEach(async () => {
  await Promise.all(made.map((quantizer) => quantizer.dispose()));
  made = [];
});

function create(threads = 2): NativeQuantizer {
  const quantizer = addon.createQuantizer(threads);
  made.push(quantizer);
  return quantizer;
}

function coded(code: string) {
  return expect.objectContaining({ code, message: expect.stringMatching(/./) });
}

const WEIGHTS = Float32Array.from({ length: 8000 * ROW }, (_, i) => Math.sin(i) / 8);

function weights(rows: number): Float32Array {
  return WEIGHTS.slice(0, rows * ROW);
}

function bytesOf(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer);
}

/** Rows into a type; the target is the second of the pair. */
function run(
  quantizer: NativeQuantizer,
  values: Float32Array,
  type: NativeTensorType,
  importance?: Float32Array,
): [Promise<number>, Uint8Array] {
  const target = new Uint8Array((values.length / ROW) * ROW_BYTES[type]);
  return [quantizer.quantize(bytesOf(values), 'f32', ROW, ROW, type, target, importance), target];
}

describe('quantize', () => {
  test('fills the target, in every type', async () => {
    const quantizer = create();
    for (const type of Object.keys(ROW_BYTES) as NativeTensorType[]) {
      const [settled, target] = run(quantizer, weights(300), type);
      expect(settled).toBeInstanceOf(Promise);
      expect(await settled).toBe(-1);
      // Every row was written.
      for (let row = 0; row < 300; row++)
        expect(target.subarray(row * ROW_BYTES[type], (row + 1) * ROW_BYTES[type]).some(Boolean)).toBe(true);
    }
    const [copied, target] = run(quantizer, weights(3), 'f32');
    await copied;
    expect(target).toEqual(bytesOf(weights(3)));
  });

  test('takes halves, shorter rows and importances', async () => {
    const quantizer = create();
    const halves = new Uint8Array(Uint16Array.of(0x3f80, 0xc000, 0x0001).buffer);
    const target = new Uint8Array(16);
    expect(await quantizer.quantize(halves, 'bf16', 3, 4, 'f32', target, undefined)).toBe(-1);
    expect(new Float32Array(target.buffer)).toEqual(Float32Array.of(1, -2, 2 ** -133, 0));
    expect(await quantizer.quantize(halves, 'f16', 3, 4, 'f32', target, undefined)).toBe(-1);
    expect(new Float32Array(target.buffer)).toEqual(Float32Array.of(1.875, -2, 2 ** -24, 0));

    const [plain, without] = run(quantizer, weights(4), 'q4_K');
    const importance = Float32Array.from({ length: ROW }, (_, i) => (i % 7) + 0.1);
    const [weighted, withIt] = run(quantizer, weights(4), 'q4_K', importance);
    // Copied at the call.
    importance.fill(Number.NaN);
    expect(await Promise.all([plain, weighted])).toEqual([-1, -1]);
    expect(withIt).not.toEqual(without);
  });

  test('tells the first value that does not fit', async () => {
    const quantizer = create(3);
    const values = weights(2000);
    values[400_000] = Number.NaN;
    expect(await run(quantizer, values, 'q8_0')[0]).toBe(400_000);
    values[70_000] = 65520;
    values[300_000] = Number.POSITIVE_INFINITY;
    expect(await run(quantizer, values, 'q4_0')[0]).toBe(70_000);
    expect(await run(quantizer, values, 'f16')[0]).toBe(70_000);
    expect(await run(quantizer, values, 'bf16')[0]).toBe(300_000);
  });

  test('takes calls while others run, and gives all the same', async () => {
    const quantizer = create(2);
    const runs = Array.from({ length: 20 }, () => run(quantizer, weights(400), 'q5_K'));
    expect(await Promise.all(runs.map(([settled]) => settled))).toEqual(runs.map(() => -1));
    const alone = run(create(1), weights(400), 'q5_K');
    await alone[0];
    for (const [, target] of runs) expect(Buffer.compare(target, alone[1])).toBe(0);
  });

  test('keeps its memory from collection', async () => {
    const ended = await runProgram(
      `${PROGRAM}
      const results = Array.from({ length: 30 }, () => work(quantizer, 300, 'q5_K'));
      const timer = setInterval(global.gc, 1);
      console.log((await Promise.all(results)).join());
      clearInterval(timer);`,
      '--expose-gc',
    );
    expect(ended).toMatchObject({
      code: 0,
      signal: null,
      stdout: `${Array(30).fill(-1).join()}\n`,
      stderr: '',
    });
  });
});

describe('wrong arguments are refused', () => {
  const quantize = (change: Record<number, unknown>) => {
    const args: unknown[] = [bytesOf(weights(2)), 'f32', ROW, ROW, 'q4_K', new Uint8Array(288), undefined];
    for (const [index, value] of Object.entries(change)) args[Number(index)] = value;
    return create().quantize(...(args as Parameters<NativeQuantizer['quantize']>));
  };

  test('nothing is wrong with these', async () => {
    expect(await quantize({})).toBe(-1);
  });

  test.each<[string, Record<number, unknown>]>([
    ['no source', { 0: undefined }],
    ['a source of floats', { 0: weights(2) }],
    ['a source of half a row', { 0: bytesOf(weights(2)).subarray(512) }],
    ['an empty source', { 0: new Uint8Array(), 5: new Uint8Array() }],
    ['an unknown source type', { 1: 'q8_0' }],
    ['no source type', { 1: undefined }],
    ['a length that is no number', { 2: '256' }],
    ['a length that is not whole', { 2: 255.5 }],
    ['a source row longer than the row', { 2: 512 }],
    ['rows of nothing', { 2: 0, 3: 0 }],
    ['rows of no whole blocks', { 2: 128, 3: 128 }],
    ['rows without end', { 3: Number.POSITIVE_INFINITY }],
    ['rows too long', { 3: 2 ** 23 }],
    ['an unknown type', { 4: 'q3_K' }],
    ['a type in capitals', { 4: 'Q4_K' }],
    ['a target that is too short', { 5: new Uint8Array(287) }],
    ['a target that is too long', { 5: new Uint8Array(289) }],
    ['a target at an odd place', { 5: new Uint8Array(289).subarray(1) }],
    ['a target of other numbers', { 5: new Uint16Array(144) }],
    ['importances that are not floats', { 6: new Float64Array(ROW).fill(1) }],
    ['too few importances', { 6: new Float32Array(ROW - 1).fill(1) }],
    ['no importances in an array', { 6: new Float32Array() }],
    ['importances of nothing', { 6: new Float32Array(ROW) }],
    ['negative importances', { 6: new Float32Array(ROW).fill(-1) }],
    ['null', { 6: null }],
  ])('%s', (_, change) => {
    expect(() => quantize(change)).toThrow(REFUSED);
  });

  test('memory that has gone, may shrink or is shared', () => {
    for (const place of [0, 5]) {
      const size = place === 0 ? 2048 : 288;
      const gone = new Uint8Array(size);
      structuredClone(gone.buffer, { transfer: [gone.buffer] });
      expect(() => quantize({ [place]: gone })).toThrow(REFUSED);
      const Resizable = ArrayBuffer as unknown as new (
        size: number,
        options: { maxByteLength: number },
      ) => ArrayBuffer;
      const shrinking = new Resizable(size, { maxByteLength: 2 * size });
      expect(() => quantize({ [place]: new Uint8Array(shrinking) })).toThrow(REFUSED);
      expect(() => quantize({ [place]: new Uint8Array(shrinking, 0, size) })).toThrow(REFUSED);
      expect(() => quantize({ [place]: new Uint8Array(new SharedArrayBuffer(size)) })).toThrow(REFUSED);
    }
  });

  test.each([undefined, '2', -1, 1.5, 1000, Number.NaN])('%s threads', (threads) => {
    expect(() => addon.createQuantizer(threads as number)).toThrow(REFUSED);
  });
});

describe('dispose', () => {
  test('lets open calls settle first, refuses others and is idempotent', async () => {
    const quantizer = create();
    const order: string[] = [];
    const [open, target] = run(quantizer, weights(8000), 'q5_K');
    const [next] = run(quantizer, weights(8000), 'q8_0');
    const disposals = [quantizer.dispose(), quantizer.dispose()].map((disposal) =>
      disposal.then(() => order.push('disposed')),
    );
    expect(() => run(quantizer, weights(1), 'f16')).toThrow(DISPOSED);
    open.then(() => order.push('first'));
    next.then(() => order.push('second'));
    await Promise.all(disposals);
    expect(order.slice(0, 2).sort()).toEqual(['first', 'second']);
    expect(order.slice(2)).toEqual(['disposed', 'disposed']);
    expect([await open, await next]).toEqual([-1, -1]);
    expect(target.subarray(-ROW_BYTES.q5_K).some(Boolean)).toBe(true);
    await quantizer.dispose();
    expect(() => run(quantizer, weights(1), 'f16')).toThrow(DISPOSED);
  });

  test('of an unused one', async () => {
    await create().dispose();
  });
});

/** A program with a `quantizer` and `work()`, whose exit is due when it has written `due`. */
const PROGRAM = `
  import { loadAddon } from './dist/addon.js';
  const due = () => process.stdout.write('due');
  const addon = loadAddon();
  const work = (quantizer, rows, type) => {
    const bytes = { q5_K: 176, iq4_nl: 144 }[type];
    const source = new Uint8Array(new Float32Array(rows * 256).fill(0.5).buffer);
    return quantizer.quantize(source, 'f32', 256, 256, type, new Uint8Array(rows * bytes), undefined);
  };
  let quantizer = addon.createQuantizer(2);`;
/** Some seconds of work. */
const LONG = `for (let i = 0; i < 20; i++) work(quantizer, 8000, 'iq4_nl');`;

describe('a process', () => {
  async function expectExit(body: string, code: number, ...flags: string[]): Promise<void> {
    const { afterOutputMs, ...ended } = await runProgram(`${PROGRAM} ${body}`, ...flags);
    expect(ended).toEqual({ code, signal: null, stdout: 'due', stderr: '' });
    expect(afterOutputMs).toBeLessThan(1000);
  }

  test('ends with an unused quantizer', () => expectExit('due();', 0));

  test('ends with an idle one', () => expectExit(`await work(quantizer, 10, 'q5_K'); due();`, 0));

  test('ends after dispose', () =>
    expectExit(`work(quantizer, 100, 'q5_K'); await quantizer.dispose(); due();`, 0));

  test('does not end before what is open', () => expectExit(`work(quantizer, 4000, 'q5_K').then(due);`, 0));

  test('may exit amid work', () =>
    expectExit(`${LONG} setTimeout(() => { due(); process.exit(7); }, 50);`, 7));

  test('may exit at once', () => expectExit(`${LONG} due(); process.exit(7);`, 7));

  test('may exit while one is disposed of', () =>
    expectExit(`${LONG} quantizer.dispose(); setTimeout(() => { due(); process.exit(7); }, 50);`, 7));

  test('may fail amid work', async () => {
    const { code, signal, stderr, afterOutputMs } = await runProgram(
      `${PROGRAM} ${LONG} due(); throw new Error('mine');`,
    );
    expect({ code, signal }).toEqual({ code: 1, signal: null });
    expect(stderr).toContain('Error: mine');
    expect(afterOutputMs).toBeLessThan(1000);
  });

  test('forgets a quantizer that nobody holds', () =>
    expectExit(
      `const forgotten = [];
      for (let i = 0; i < 4; i++) {
        forgotten.push(new WeakRef(quantizer));
        await work(quantizer, 10, 'q5_K');
        quantizer = addon.createQuantizer(2);
      }
      for (let i = 0; i < 10; i++) {
        await new Promise((resolve) => setTimeout(resolve, 10));
        global.gc();
      }
      if (forgotten.every((quantizer) => quantizer.deref() === undefined)) due();`,
      0,
      '--expose-gc',
    ));
});

describe('a worker thread', () => {
  const source = (end: string) => `
    const { parentPort } = require('node:worker_threads');
    import(${JSON.stringify(new URL('../../dist/addon.js', import.meta.url).href)}).then(({ loadAddon }) => {
      const addon = loadAddon();
      const quantizer = addon.createQuantizer(2);
      for (let i = 0; i < 20; i++) {
        const source = new Uint8Array(new Float32Array(8000 * 256).fill(0.5).buffer);
        quantizer.quantize(source, 'f32', 256, 256, 'iq4_nl', new Uint8Array(8000 * 144), undefined);
      }
      parentPort.postMessage('working');
      ${end}
    });`;

  function start(end: string): Worker {
    return new Worker(source(end), { eval: true, execArgv: [] });
  }

  test('is terminated amid work', async () => {
    for (const wait of [0, 20, 100]) {
      const worker = start('');
      await new Promise((resolve) => worker.once('message', resolve));
      await new Promise((resolve) => setTimeout(resolve, wait));
      const began = performance.now();
      await worker.terminate();
      expect(performance.now() - began).toBeLessThan(1000);
    }
  });

  test('exits amid work', async () => {
    const worker = start('setTimeout(() => process.exit(3), 20);');
    expect(await new Promise((resolve) => worker.once('exit', resolve))).toBe(3);
  });
});
