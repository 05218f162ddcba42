import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { measureImage } from '../../lib/image.js';
import { root } from '../files.js';
import { readSixel } from '../unit/sixel-reader.js';
import { type Run, runCli, runProgram } from './run.js';

// Programs are started one after another, which a busy machine may take its time over.
vi.setConfig({ testTimeout: 300_000 });

interface Scene {
  pictures: string[];
  turns: { question: string; answer: string }[];
}

const FOLDER = join(root, 'models', 'demo');
const SCENES: Scene[] = JSON.parse(readFileSync(join(FOLDER, 'scenes.json'), 'utf8'));
const PICTURES = SCENES.flatMap(({ pictures }) => pictures);
const TURNS = SCENES.flatMap(({ turns }) => turns);
const SCORE = new RegExp(`^Score: (\\d+) of ${TURNS.length} answers right$`, 'm');

/** The lines about an answer: what was asked, and what was said of it. */
function questionsIn(stdout: string): string[] {
  return [...stdout.matchAll(/^ {2}question {2}(.*)\n {2}answer {4}.* {2}[✓✗]/gm)].map(
    ([, question]) => question as string,
  );
}

describe('xgen-mm demo', () => {
  test('shows every scene and what it took, without touching the terminal', async () => {
    const { code, stdout, stderr } = await runCli(['demo']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    for (const name of PICTURES) {
      const { width, height } = await measureImage(join(FOLDER, name), {});
      expect(stdout).toContain(`\n${name}, ${width} x ${height}\n`);
    }
    expect(questionsIn(stdout)).toEqual(TURNS.map(({ question }) => question));
    expect(stdout).toMatch(/^This model is a toy: /);
    expect(stdout).toMatch(/^ {2}vision tower +[\d.]+ ms$/m);
    expect(stdout).toContain('npx xgen-mm ask demo --image my.png');
    expect(stdout).toContain('npx xgen-mm pull ');
    expect(stdout).not.toMatch(/[^\P{Control}\n]|[\u202a-\u202e\u2066-\u2069]/u);
  });

  test('counts what it marks as right, and says what a wrong answer should have been', async () => {
    const { stdout } = await runCli(['demo']);
    expect(Number(SCORE.exec(stdout)?.[1])).toBe(stdout.match(/^ {2}answer.* {2}✓/gm)?.length ?? 0);
    const wrong = stdout.match(/^ {2}answer.* {2}✗.*$/gm) ?? [];
    expect(wrong.filter((line) => !/ {2}✗ (IoU [\d.]+, )?it is \S/.test(line))).toEqual([]);
  });
});

// Windows has no signals that a program could catch, and says EOF where others say EPIPE.
describe.skipIf(process.platform === 'win32')('a demo that is not wanted any more', () => {
  test('Ctrl-C ends it with 130', async () => {
    const { code, stdout, stderr } = await runCli(['demo'], {
      // A second Ctrl-C would kill it.
      onOutput: (_, child) => child.killed || child.kill('SIGINT'),
    });
    expect({ code, stderr }).toEqual({ code: 130, stderr: '' });
    expect(stdout).not.toMatch(SCORE);
  });

  test('a reader that goes away ends it without an error', async () => {
    const { code, stderr } = await runCli(['demo'], { onOutput: (_, child) => child.stdout?.destroy() });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });
});

const hasPython = spawnSync('python3', ['-c', 'import pty']).status === 0;

// Node.js cannot make a pseudo-terminal, Python can where it is installed.
describe.skipIf(!hasPython)('at a terminal', () => {
  /** What says nothing of the terminal, other than the variables of whoever runs the tests. */
  const env = Object.fromEntries(
    ['CI', 'NO_COLOR', 'TMUX', 'STY', 'ZELLIJ', 'KITTY_WINDOW_ID', 'TERM_PROGRAM', 'LC_TERMINAL'].map(
      (name) => [name, ''],
    ),
  );

  /** Runs the demo, by way of what is in front of it, at a terminal where somebody types, and which replies when asked what it is. */
  function runDemo(
    typed: string,
    reply: string,
    term = 'xterm-256color',
    front: string[] = [],
  ): Promise<Run> {
    const terminal = join(root, 'test', 'cli', 'pseudo-terminal.py');
    const command = [...front, process.execPath, join(root, 'dist/cli/main.js'), 'demo'];
    return runProgram('python3', [terminal, typed, reply, ...command], { env: { ...env, TERM: term } });
  }

  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is how terminals speak
  const SIXEL = /\x1bP0;1;q[^\x1b]*\x1b\\/g;

  test('that takes Sixel, thumbnails are shown', async () => {
    const { code, stdout } = await runDemo('', '\\x1b[?62;4c');
    expect(code).toBe(0);
    expect(stdout).toMatch(SCORE);
    // Terminals get a carriage return with each line break.
    const thumbnails = (stdout.match(SIXEL) ?? []).map((stream) => readSixel(stream.replaceAll('\r', '')));
    expect(thumbnails).toHaveLength(PICTURES.length);
    expect(Math.max(...thumbnails.map(({ width }) => width))).toBeLessThanOrEqual(320);
    expect(Math.max(...thumbnails.map(({ height }) => height))).toBeLessThanOrEqual(160);
    expect(stdout).not.toContain('went unread');
  });

  test('that does not, none are, and what was typed meanwhile is neither shown nor lost in silence', async () => {
    const { code, stdout } = await runDemo('typed\\x1b[A\\r', '\\x1b[?62;22c');
    expect(code).toBe(0);
    expect(stdout).toMatch(SCORE);
    expect(stdout).not.toMatch(SIXEL);
    expect(stdout).toContain('Note: 7 keys pressed');
    expect(stdout).not.toContain('typed\r');
  });

  test('that is a dumb one, nothing is asked and no bar is drawn', async () => {
    const { code, stdout } = await runDemo('', '', 'dumb');
    expect(code).toBe(0);
    expect(stdout).toMatch(SCORE);
    expect(stdout).not.toContain('\x1b');
  });

  // A question would stop it, where a shell has jobs.
  test.skipIf(process.platform !== 'linux')('that it is in the background of, nothing is asked', async () => {
    const background = ['sh', '-mc', '"$@" & wait $!', 'sh'];
    const { code, stdout } = await runDemo('', '\\x1b[?62;4c', 'xterm-256color', background);
    expect(code).toBe(0);
    expect(stdout).toMatch(SCORE);
    expect(stdout).not.toContain('\x1b[c');
  });

  test('Ctrl-C means the same while that is asked', async () => {
    const { code, stdout } = await runDemo('\\x03', '');
    expect(code).toBe(130);
    expect(stdout).not.toMatch(SCORE);
  });
});
