import type { ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { loadModel, type Model } from '../../lib/index.js';
import { modelFile, root } from '../files.js';
import { type Run, runScript } from './run.js';

// Programs are started one after another, which a busy machine may take its time over.
vi.setConfig({ testTimeout: 300_000 });

const INSTRUCT = modelFile('tiny-f32');
const BASE = modelFile('tiny_base-f32');
/** Takes ten milliseconds or so a token: an answer takes long enough to be interrupted. */
const SLOW = modelFile('wide-f32');
const LONG = 'Tell me a long story.';
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

/** Runs the HTTP server while `use` runs, then asks it to end. */
async function withServer(file: string, use: (url: string) => Promise<void>): Promise<void> {
  let ended: Promise<Run> | undefined;
  const { url, child } = await new Promise<{ url: string; child: ChildProcess }>((resolve, reject) => {
    ended = runScript('examples/http-server.mjs', [file, '0'], {
      onOutput: (url, child) => resolve({ url: url.trim(), child }),
    });
    ended.then((run) => reject(new Error(`The server ended: ${JSON.stringify(run)}`)), reject);
  });
  try {
    await use(url);
  } finally {
    child.kill('SIGTERM');
  }
  const { code, stderr } = (await ended) as Run;
  // Windows knows no signals: there the process is ended from outside.
  if (process.platform !== 'win32') expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
}

function post(url: string, body: unknown, signal?: AbortSignal): Promise<Response> {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return fetch(url, { method: 'POST', body: text, ...(signal && { signal }) });
}

function parseEvents(text: string): Record<string, unknown>[] {
  return [...text.matchAll(/^data: (.*)\n\n/gm)].map(([, json]) => JSON.parse(json as string));
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

  testExample('several-chats.mjs', async () => {
    const output = await outputOf('several-chats.mjs', SLOW);
    const lines = output.trimEnd().split('\n');
    const pieces = lines.map((line) => /^(\S+): (".*")$/.exec(line)?.slice(1) ?? [line, '']);
    const slow = await loadModel(SLOW, { threads: 1 });
    try {
      for (const [name, first, second] of [
        ['street.jpg', 'What is going on here?', 'And which colours do you see?'],
        ['balloon.png', 'What is this?', 'Where would you find one?'],
        ['table-before.webp', 'What is on the table?', 'What could one do with it?'],
      ] as const) {
        const chat = slow.chat();
        const one = await chat.ask([image(name), first], { maxTokens: 60 });
        const two = await chat.ask(second, { maxTokens: 60 });
        const said = pieces.filter(([of]) => of === name).map(([, piece]) => JSON.parse(piece as string));
        expect(said.join('')).toBe(one.text + two.text);
      }
    } finally {
      await slow.dispose();
    }
    const names = pieces.map(([name]) => name);
    const begins = [...new Set(names)].map((name) => names.indexOf(name));
    const ends = [...new Set(names)].map((name) => names.lastIndexOf(name));
    expect(Math.max(...begins)).toBeLessThan(Math.min(...ends));
  });

  testExample('http-server.mjs', async () => {
    await withServer(INSTRUCT, async (url) => {
      const bytes = readFileSync(join(PICTURES, 'street.jpg'));
      const image_url = { url: `data:image/jpeg;base64,${bytes.toString('base64')}` };
      const content = [
        { type: 'image_url', image_url },
        { type: 'text', text: 'What is it?' },
      ];
      const response = await post(url, { content });
      expect(response.headers.get('content-type')).toBe('text/event-stream');
      const events = parseEvents(await response.text());
      const { text, finishReason, usage } = await model
        .chat()
        .ask([image('street.jpg'), 'What is it?'], { maxTokens: 500 });
      expect(events.map((event) => event.text ?? '').join('')).toBe(text);
      expect(events.at(-1)).toEqual({ finishReason, usage: { ...usage, cachedTokens: 0 } });
    });
  });

  test('http-server.mjs says by its status what is wrong with a request, and reads no files', async () => {
    const path = join(PICTURES, 'street.jpg');
    const refusals: [number, RegExp, unknown][] = [
      [
        400,
        /a data: URL for image_url in content\[0\]/,
        { content: [{ type: 'image_url', image_url: path }] },
      ],
      [400, /a data: URL/, { content: [{ image: path }] }],
      [400, /fetched/, { content: [{ type: 'image_url', image_url: 'https://example.org/a.png' }] }],
      [400, /a string for text/, { content: [{ type: 'text', text: 5 }] }],
      [400, /content/, {}],
      [400, /content/, null],
      [400, /JSON/, '{ "content": '],
      [400, /decoded/, { content: [{ type: 'image_url', image_url: 'data:image/png;base64,AAAA' }] }],
      [413, /positions/, { content: 'hello '.repeat(5000) }],
      [413, /bytes/, { content: 'x'.repeat(21 * 2 ** 20) }],
    ];
    await withServer(INSTRUCT, async (url) => {
      for (const [status, message, body] of refusals) {
        const response = await post(url, body);
        const { error } = (await response.json()) as { error: string };
        expect([response.status, error]).toEqual([status, expect.stringMatching(message)]);
      }
      expect((await fetch(url)).status).toBe(405);
      const withPath = { content: [{ type: 'text', text: 'hello', image: path }] };
      const { usage } = parseEvents(await (await post(url, withPath)).text()).at(-1) ?? {};
      expect(usage).toMatchObject({ imageTokens: 0 });
    });
  });

  test('http-server.mjs stops the answer of a client that goes away', async () => {
    await withServer(SLOW, async (url) => {
      // Two sequences are kept at the same time, and answered in their order: the third waits for one of them to end.
      const order: string[] = [];
      const start = async (name: string) => {
        const leaving = new AbortController();
        const response = await post(url, { content: LONG }, leaving.signal);
        order.push(`${name} begins`);
        return { leaving, response };
      };
      const first = await start('first');
      const second = await start('second');
      const firstEnds = first.response.text().then(() => order.push('first ends'));
      const third = start('third');
      second.leaving.abort();
      await (await third).response.body?.cancel();
      await firstEnds;
      expect(order).toEqual(['first begins', 'second begins', 'third begins', 'first ends']);
    });
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
