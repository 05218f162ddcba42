import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { loadModel, type Model } from '../../lib/index.js';
import { modelFile, root } from '../files.js';
import { runScript } from './run.js';

// Programs are started one after another, which a busy machine may take its time over.
vi.setConfig({ testTimeout: 300_000 });

const INSTRUCT = modelFile('tiny-f32');
const BASE = modelFile('tiny_base-f32');
const PICTURES = join(root, 'examples', 'pictures');
const image = (name: string) => ({ image: join(PICTURES, name) });

/** What an example prints, which must succeed in silence. */
async function outputOf(name: string, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await runScript(`examples/${name}`, args);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return stdout;
}

const tested = new Set<string>();
function testExample(
  name: string,
  body: (run: (...args: string[]) => Promise<string>) => Promise<void>,
): void {
  tested.add(name);
  test(name, () => body((...args) => outputOf(name, ...args)));
}

describe('examples', () => {
  let model: Model;
  beforeAll(async () => {
    model = await loadModel(INSTRUCT, { threads: 1 });
  });
  afterAll(() => model.dispose());

  testExample('describe.mjs', async (run) => {
    const describe = async (name: string) =>
      (await model.chat().ask([image(name), 'Describe this picture.'], { maxTokens: 200 })).text;
    expect(await run(INSTRUCT)).toBe(`${await describe('street.jpg')}\n`);
    expect(await run(INSTRUCT, join(PICTURES, 'balloon.png'))).toBe(`${await describe('balloon.png')}\n`);
  });

  testExample('stream.mjs', async (run) => {
    const chat = model.chat();
    const first = await chat.ask([image('street.jpg'), 'What is going on here?'], { maxTokens: 200 });
    const second = await chat.ask('And which colours do you see?', { maxTokens: 200 });
    const report = /\n\[(\S+) after (\d+) tokens; (\d+) .* cached\]\n/;
    const [before, reason, count, cached, after, , , cachedAfter] = (await run(INSTRUCT)).split(report);
    expect([before, reason, count, cached]).toEqual([
      first.text,
      first.finishReason,
      `${first.tokens.length}`,
      '0',
    ]);
    expect(after).toBe(second.text);
    expect(Number(cachedAfter)).toBe(second.usage.cachedTokens);
    expect(Number(cachedAfter)).toBeGreaterThan(first.usage.promptTokens);
  });

  testExample('compare.mjs', async (run) => {
    const content = [
      'Before: ',
      image('table-before.webp'),
      'After: ',
      image('table-after.webp'),
      'What has changed?',
    ];
    const { text, usage } = await model.chat().ask(content, { maxTokens: 200 });
    expect(await run(INSTRUCT)).toBe(
      `${text}\n[${usage.promptTokens} positions, 80 of them the two pictures]\n`,
    );
  });

  testExample('few-shot.mjs', async (run) => {
    const output = await run(BASE);
    expect(output).toMatch(/^The picture shows.+\n$/);
  });

  testExample('encode-once.mjs', async (run) => {
    const output = await run(INSTRUCT);
    expect(output).toMatch(/^40 embeddings of 96 numbers each\n/);
    const encoded = await model.encodeImage(join(PICTURES, 'balloon.png'), { background: 'white' });
    for (const question of ['What is this?', 'Which colours does it have?', 'Where would you find one?']) {
      const { text } = await model.chat().ask([{ image: encoded }, question], { maxTokens: 60 });
      expect(output).toContain(`${question} (vision: 0 ms)\n${text}\n`);
    }
  });

  testExample('next-token.mjs', async (run) => {
    const lines = (await run(INSTRUCT)).trimEnd().split('\n');
    const parsed = lines.map((line) => /^ *([\d.]+) % {2}(".*") \(token (\d+)\)$/.exec(line));
    const percents = parsed.map((match) => Number(match?.[1]));
    expect(percents).toHaveLength(5);
    expect(percents).toEqual(percents.toSorted((a, b) => b - a));
    const { tokens } = await model.complete([image('balloon.png'), 'A picture of a'], { maxTokens: 1 });
    expect(Number(parsed[0]?.[3])).toBe(tokens[0]);
  });

  test('each one is tested', () => {
    expect(readdirSync(join(root, 'examples')).filter((name) => /\.[cm]?js$/.test(name))).toEqual(
      [...tested].toSorted(),
    );
  });
});

test('the pictures are small files of the formats that their names say', async () => {
  const formats = new Map<string, string>();
  for (const name of readdirSync(PICTURES)) {
    const { format = '', hasAlpha } = await sharp(join(PICTURES, name)).metadata();
    expect(statSync(join(PICTURES, name)).size).toBeLessThan(60_000);
    formats.set(name, `${format}${hasAlpha ? ' with alpha' : ''}`);
  }
  expect(Object.fromEntries(formats)).toEqual({
    'balloon.png': 'png with alpha',
    'street.jpg': 'jpeg',
    'table-after.webp': 'webp',
    'table-before.webp': 'webp',
  });
});
