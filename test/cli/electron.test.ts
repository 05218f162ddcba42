import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test, vi } from 'vitest';
import { loadModel } from '../../lib/index.js';
import { modelFile, root } from '../files.js';
import { runScript } from './run.js';

// Electron's package downloads its binary, which an installation without network cannot. So the main process runs in Node.js with an
// `electron` that is a stand-in, and the window in a browser, if there is one, with a main process that is: that shows that the example
// does what it says, not that the addon loads in Electron.
const EXAMPLE = join(root, 'examples', 'electron');
const STAND_INS = join(root, 'test', 'cli', 'electron');

vi.setConfig({ testTimeout: 300_000 });

test("the main process answers windows, and cancels what they don't want any more", async () => {
  /** Takes ten milliseconds or so a token: an answer takes long enough to be interrupted. */
  const file = modelFile('wide-f32');
  const picture = join(root, 'examples', 'pictures', 'street.jpg');
  vi.stubEnv('NODE_OPTIONS', `--import=${pathToFileURL(join(STAND_INS, 'register.mjs')).href}`);
  vi.stubEnv('PICTURE', picture);
  const { code, stdout, stderr } = await runScript('examples/electron/main.mjs', [file]).finally(() =>
    vi.unstubAllEnvs(),
  );
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const { whole, cancelled, closed, reloaded, crashed, cut, quits, windows } = JSON.parse(stdout);
  const model = await loadModel(file, { threads: 1 });
  const { text, finishReason } = await model
    .chat()
    .ask([{ image: picture }, 'What is this?'], { maxTokens: 500 })
    .finally(() => model.dispose());
  expect(whole).toEqual({ pieces: expect.any(Array), answer: { text, finishReason }, listeners: 0 });
  expect(whole.pieces.join('')).toBe(text);
  for (const ended of [cancelled, closed, reloaded, crashed]) {
    expect(ended).toEqual({
      pieces: expect.any(Array),
      answer: { finishReason: 'cancelled' },
      listeners: 0,
    });
  }
  expect(cut.answer).toMatchObject({ code: 'ERR_XGENMM_DISPOSED' });
  // The one that was asked for, and the one after the model was disposed.
  expect(quits).toBe(2);
  const [window] = windows;
  expect(window).toEqual({
    preload: join(EXAMPLE, 'preload.cjs'),
    file: join(EXAMPLE, 'index.html'),
    progress: expect.arrayContaining([1, -1]),
  });
  expect(existsSync(window.preload) && existsSync(window.file)).toBe(true);
});

const BROWSERS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const browser = BROWSERS.find((path) => existsSync(path));

test.skipIf(browser === undefined)(`the window shows an answer (needs one of ${BROWSERS.join(', ')})`, () => {
  const folder = mkdtempSync(join(tmpdir(), 'xgen-mm-'));
  try {
    for (const name of ['renderer.js', 'bridge.js', 'visitor.js']) {
      copyFileSync(join(name === 'renderer.js' ? EXAMPLE : STAND_INS, name), join(folder, name));
    }
    const script = (name: string) => `<script defer src="${name}"></script>`;
    const page = readFileSync(join(EXAMPLE, 'index.html'), 'utf8');
    const visited = page.replace(script('renderer.js'), (own) =>
      [script('bridge.js'), own, script('visitor.js')].join(''),
    );
    expect(visited).not.toBe(page);
    writeFileSync(join(folder, 'index.html'), visited);
    const dom = execFileSync(
      browser as string,
      [
        ...[
          '--headless',
          '--no-sandbox',
          '--disable-gpu',
          '--disable-background-networking',
          '--no-first-run',
        ],
        ...[`--user-data-dir=${join(folder, 'profile')}`, '--virtual-time-budget=10000', '--dump-dom'],
        pathToFileURL(join(folder, 'index.html')).href,
      ],
      { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], timeout: 60_000 },
    );
    const seen = /<title>(.*)<\/title>/.exec(dom)?.[1] ?? '';
    const told = JSON.parse(decodeURIComponent(seen));
    const ids = told.asked.map(({ id }: { id: string }) => id);
    expect(new Set(ids).size).toBe(3);
    const id = expect.stringMatching(/^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/);
    expect(told).toEqual({
      // What is dropped is shown and sent.
      picture: 'blob:',
      asked: [
        { id, question: 'What is <b>this</b>?', bytes: 4 },
        { id, question: 'What is <b>this</b>?', bytes: 4 },
        { id, question: 'What is <b>this</b>?', bytes: 4 },
      ],
      cancelled: [ids[1]],
      // Whole; as far as it had come; what went wrong.
      answers: ['A <b>cat</b>.', 'A ', 'No memory'],
      buttons: ['Stop', 'Ask', 'Stop', 'Ask', 'Stop', 'Ask'],
    });
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
});
