import { execFileSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Engine } from '../../lib/engine.js';
import type { NativeModelInfo } from '../../lib/native.js';
import { type Sample, type SampleFiles, Samples } from '../../lib/samples/samples.js';
import { failure } from '../failure.js';
import { picture } from '../files.js';
import { TINY_ALONE } from '../load-options.js';
import { temporaryFolder } from './checkpoint.js';
import { FakeAddon } from './fake-addon.js';

async function fakeEngine(info: Partial<NativeModelInfo> = {}): Promise<Engine> {
  const engine = await Engine.load(new FakeAddon({ tokenizerStyle: 'fast', ...info }), TINY_ALONE);
  onTestFinished(() => engine.dispose());
  return engine;
}

async function readAll(files: SampleFiles, info?: Partial<NativeModelInfo>): Promise<Sample[]> {
  const samples: Sample[] = [];
  const { signal } = new AbortController();
  for await (const sample of (await Samples.open(files)).read(await fakeEngine(info), signal))
    samples.push(sample);
  return samples;
}

async function textFile(text: string): Promise<string> {
  const path = join(await temporaryFolder(), 'text.txt');
  await writeFile(path, text);
  return path;
}

describe('a text', () => {
  test('becomes passages that hold all of its tokens once', async () => {
    const text = Array.from({ length: 1300 }, (_, i) => String.fromCodePoint(65 + (i % 26))).join('');
    const samples = await readAll({ text: [await textFile(text)] });
    expect(samples.map(({ tokens }) => tokens.length)).toEqual([512, 512, 276]);
    const tokens = samples.flatMap(({ tokens }) => [...tokens]);
    expect(String.fromCodePoint(...tokens)).toBe(text);
  });

  test('is cut as the context of the model allows', async () => {
    const samples = await readAll({ text: [await textFile('x'.repeat(250))] }, { contextSize: 100 });
    expect(samples.map(({ tokens }) => tokens.length)).toEqual([100, 100, 50]);
  });

  test('may begin with a byte order mark, and have any letters', async () => {
    const [sample] = await readAll({ text: [await textFile('\ufeffdéjà 🙂')] });
    expect(String.fromCodePoint(...(sample as Sample).tokens)).toBe('déjà 🙂');
  });

  test('may be as long as the limit, and no longer', async () => {
    const path = await textFile('y'.repeat(4 * 2 ** 20));
    await expect(Samples.open({ text: [path] })).resolves.toBeInstanceOf(Samples);
    await writeFile(path, 'y', { flag: 'a' });
    await expect(Samples.open({ text: [path] })).rejects.toEqual(
      failure('ERR_XGENMM_INVALID_ARGUMENT', /at most 4194304 bytes.*which has 4194305/),
    );
  });
});

test.skipIf(process.platform === 'win32')(
  'a pipe in place of a text is refused, not waited for (Windows has no such files)',
  async () => {
    const pipe = join(await temporaryFolder(), 'text.txt');
    execFileSync('mkfifo', [pipe]);
    await expect(Samples.open({ text: [pipe] })).rejects.toEqual(
      failure('ERR_XGENMM_FILE_NOT_FOUND', /readable text file at .*text\.txt, received something else/),
    );
  },
);

test('a picture stands in front of a few words', async () => {
  const [sample] = await readAll({ images: [picture()] });
  expect(sample).toMatchObject({ kind: 'picture', name: picture(), before: 0 });
  const { tokens } = sample as Sample;
  expect(tokens[0]).toBe(-1);
  expect(tokens.subarray(1).every((token) => token > 0)).toBe(true);
  expect(tokens.length).toBeGreaterThan(1);
});

test('the default samples are texts and pictures, and how much is done only rises', async () => {
  const samples = await readAll({});
  expect(new Set(samples.map(({ kind }) => kind))).toEqual(new Set(['text', 'picture']));
  const before = samples.map((sample) => sample.before);
  expect(before[0]).toBe(0);
  expect(before).toEqual(before.toSorted((a, b) => a - b));
  expect(before.at(-1)).toBeLessThan(1);
  for (const sample of samples) {
    if (sample.kind !== 'picture') continue;
    const { data, width, height } = sample.pixels;
    expect(data).toHaveLength(3 * width * height);
    expect(new Set(data).size).toBeGreaterThan(4);
  }
});

test('what is not asked for is left out', async () => {
  const text = await textFile('words');
  expect((await readAll({ text: [text] })).map(({ kind }) => kind)).toEqual(['text']);
  expect((await readAll({ images: [picture()] })).map(({ kind }) => kind)).toEqual(['picture']);
});

test('for a text-only model our own pictures are left out, asked-for ones refused', async () => {
  const engine = await fakeEngine({ imageMode: '' });
  const models = [
    { engine: await fakeEngine(), path: 'a' },
    { engine, path: 'b' },
  ];
  const notes: string[] = [];
  const own = (await Samples.open({})).for(models, (note) => notes.push(note));
  expect(notes).toEqual(['b is a text-only model: pictures are left out.']);
  for await (const { kind } of own.read(engine, new AbortController().signal)) expect(kind).toBe('text');
  const asked = await Samples.open({ images: [picture()] });
  expect(() => asked.for(models, () => {})).toThrow(
    failure('ERR_XGENMM_MODEL_UNSUPPORTED', /--images, received b, which is a text-only/) as Error,
  );
});

test('an abort ends the reading of pictures', async () => {
  const interrupt = new AbortController();
  const reason = new Error('enough');
  const samples = await Samples.open({ images: [picture(), picture('07_grey')] });
  let seen = 0;
  const read = async () => {
    for await (const _ of samples.read(await fakeEngine(), interrupt.signal)) {
      seen++;
      interrupt.abort(reason);
    }
  };
  await expect(read()).rejects.toBe(reason);
  expect(seen).toBe(1);
});
