import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type Answer, type Content, loadModel } from '../../lib/index.js';
import { fixture, modelFile, picture } from '../files.js';
import { runCli } from './run.js';

// Programs are started one after another, which a busy machine may take its time over.
vi.setConfig({ testTimeout: 300_000 });

const TINY = modelFile('tiny-f32');
/** Takes ten milliseconds or so a token: an answer takes long enough to be interrupted. */
const SLOW = modelFile('wide-f32');
const LONG = 'Tell me a long story.';

/** The same answer without the command line. */
async function answerOf(file: string, content: Content, maxTokens: number): Promise<Answer> {
  const model = await loadModel(file, { threads: 1 });
  try {
    const target = model.info.variant === 'base' ? model : model.chat();
    return await target.stream(content, { maxTokens }).answer();
  } finally {
    await model.dispose();
  }
}

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'xgen-mm-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('xgen-mm ask', () => {
  test('prints the answer and nothing else', async () => {
    const { code, stdout, stderr } = await runCli(['ask', TINY, 'hello', '--max-tokens', '20']);
    const { text } = await answerOf(TINY, 'hello', 20);
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: `${text}\n`, stderr: '' });
  });

  test('streams', async () => {
    const pieces: string[] = [];
    const { code, stdout } = await runCli(['ask', SLOW, LONG, '-n', '60'], {
      onOutput: (piece) => pieces.push(piece),
    });
    const { text } = await answerOf(SLOW, LONG, 60);
    expect({ code, stdout }).toEqual({ code: 0, stdout: `${text}\n` });
    expect(pieces.length).toBeGreaterThan(5);
  });

  test('takes pictures in order', async () => {
    const [first, second] = [picture(), picture('02_very_wide')];
    const ask = (...images: string[]) =>
      runCli(['ask', TINY, 'What changed?', ...images.flatMap((image) => ['-i', image]), '-n', '20']);
    const { text } = await answerOf(TINY, [{ image: first }, { image: second }, 'What changed?'], 20);
    expect((await ask(first, second)).stdout).toBe(`${text}\n`);
    expect((await ask(second, first)).stdout).not.toBe(`${text}\n`);
  });

  test('demo is the model of the package, wherever one is', async () => {
    const question = ['-i', picture(), '-n', '20'];
    const { code, stdout, stderr } = await runCli(['ask', 'demo', 'hello', ...question], { cwd: folder });
    const { text } = await answerOf('demo', [{ image: picture() }, 'hello'], 20);
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: `${text}\n`, stderr: '' });
  });

  test('lets a base model continue the prompt', async () => {
    const base = modelFile('tiny_base-f32');
    const { code, stdout } = await runCli(['ask', base, 'A photo of', '-i', picture(), '-n', '20']);
    const { text } = await answerOf(base, [{ image: picture() }, 'A photo of'], 20);
    expect({ code, stdout }).toEqual({ code: 0, stdout: `${text}\n` });
  });

  test('--json prints one line with the whole answer', async () => {
    const args = ['ask', TINY, 'What is it?', '--image', picture(), '--max-tokens', '20', '--json'];
    const { code, stdout, stderr } = await runCli(args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^[^\n]+\n$/);
    const answer = JSON.parse(stdout);
    const expected = await answerOf(TINY, [{ image: picture() }, 'What is it?'], 20);
    expect(answer).toEqual({
      ...expected,
      tokens: [...expected.tokens],
      timings: expect.objectContaining({ vision: expect.any(Number), generate: expect.any(Number) }),
    });
    expect(answer.usage.imageTokens).toBe(40);
    expect(answer.timings.vision).toBeGreaterThan(0);
  });

  test('the flags reach the model', async () => {
    const options = {
      maxTokens: 40,
      temperature: 1.5,
      topK: 50,
      topP: 0.95,
      minP: 0.01,
      seed: 2n ** 64n - 1n,
    };
    const model = await loadModel(TINY, { threads: 1, contextSize: 300 });
    const { text } = await model
      .chat({ system: 'Be brief.' })
      .ask('hello', { ...options, repetitionPenalty: 1.2, stop: ['%', 'under'] });
    await model.dispose();
    const flags = '-n 40 -t 1.5 --top-k 50 --top-p 0.95 --min-p 0.01 --seed 18446744073709551615';
    const more = '--repetition-penalty 1.2 --stop % --stop under --context 300 --threads 1';
    const run = await runCli([
      'ask',
      TINY,
      'hello',
      ...flags.split(' '),
      ...more.split(' '),
      '--system',
      'Be brief.',
    ]);
    expect(run).toEqual({ code: 0, stdout: `${text}\n`, stderr: '' });
  });

  test('--context is the room there is', async () => {
    const { code, stderr } = await runCli(['ask', TINY, 'hello '.repeat(100), '--context', '64']);
    expect(code).toBe(1);
    expect(stderr).toContain('(ERR_XGENMM_CONTEXT_OVERFLOW)');
  });

  test('a base model takes no --system', async () => {
    const run = await runCli(['ask', modelFile('tiny_base-f32'), 'A photo of', '--system', 'x']);
    expect(run).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('--system') });
  });

  test('--temperature lets answers differ', async () => {
    const ask = () => runCli(['ask', TINY, 'hello', '-n', '40', '--temperature', '2']);
    const runs = await Promise.all([ask(), ask()]);
    expect(runs.map(({ code }) => code)).toEqual([0, 0]);
    expect(runs[0]?.stdout).not.toBe(runs[1]?.stdout);
  });
});

describe('an error is one line on stderr and an exit code', () => {
  const broken = () => {
    const path = join(folder, 'broken.png');
    writeFileSync(path, 'no picture');
    return path;
  };
  const cases: [string, () => string[], string][] = [
    ['no model', () => ['no-such.gguf', 'hello'], 'ERR_XGENMM_FILE_NOT_FOUND'],
    ['no file called as the model of the package', () => ['./demo', 'hello'], 'ERR_XGENMM_FILE_NOT_FOUND'],
    ['no GGUF file', () => [fixture('tiny', 'config.json'), 'hello'], 'ERR_XGENMM_MODEL_INVALID'],
    ['no picture', () => [TINY, 'hello', '-i', 'no-such.png'], 'ERR_XGENMM_FILE_NOT_FOUND'],
    ['a broken picture', () => [TINY, 'hello', '-i', broken()], 'ERR_XGENMM_IMAGE_DECODE'],
    [
      'a picture of this machine',
      () => [TINY, 'hello', '-i', 'http://127.0.0.1:9/a.png'],
      'ERR_XGENMM_IMAGE_FETCH',
    ],
    ['too long a prompt', () => [TINY, 'hello '.repeat(5000)], 'ERR_XGENMM_CONTEXT_OVERFLOW'],
    [
      'too long a prompt for --json',
      () => [TINY, 'hello '.repeat(5000), '--json'],
      'ERR_XGENMM_CONTEXT_OVERFLOW',
    ],
  ];
  test.each(cases)('%s', async (_, args, expected) => {
    const { code, stdout, stderr } = await runCli(['ask', ...args()]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(new RegExp(`^xgen-mm: [^\\n]+ \\(${expected}\\)\\n$`));
  });
});

describe('wrong usage', () => {
  test.each([
    ['no command', []],
    ['no arguments', ['ask']],
    ['no prompt', ['ask', TINY]],
    ['an unknown option', ['ask', TINY, 'hello', '--tokens', '3']],
    ['no count', ['ask', TINY, 'hello', '--max-tokens', 'many']],
    ['half a token', ['ask', TINY, 'hello', '--max-tokens', '0.5']],
    ['a negative temperature', ['ask', TINY, 'hello', '--temperature', '-1']],
    ['no part of a whole', ['ask', TINY, 'hello', '--top-p', '1.5']],
    ['a blank number', ['ask', TINY, 'hello', '--min-p', ' ']],
    ['too large a seed', ['ask', TINY, 'hello', '--seed', '18446744073709551616']],
    ['an empty stop string', ['ask', TINY, 'hello', '--stop', '']],
    ['an unknown command', ['answer', TINY, 'hello']],
  ])('%s', async (_, args) => {
    const { code, stdout, stderr } = await runCli(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).not.toBe('');
  });

  test('a command that is nearly one gets a hint, no command the help', async () => {
    expect((await runCli(['chatt', TINY])).stderr).toContain('Did you mean chat?');
    expect((await runCli([])).stderr).toMatch(/^Usage: xgen-mm /);
  });

  test('help and version are answers', async () => {
    const commands = ['demo', 'ask', 'chat', 'inspect', 'convert', 'doctor'];
    for (const args of [['--help'], ...commands.map((command) => [command, '--help']), ['--version']]) {
      const { code, stdout, stderr } = await runCli(args);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(stdout).toMatch(
        args[0] === '--version' ? /^\d+\.\d+\.\d+\n$/ : /^Usage: xgen-mm .*Examples:\n {2}\$ /s,
      );
    }
  });
});

// Windows has no signals that a program could catch, and says EOF where others say EPIPE.
describe.skipIf(process.platform === 'win32')('an answer that is not wanted any more', () => {
  test('Ctrl-C ends it with 130', async () => {
    const { code, stdout, stderr } = await runCli(['ask', SLOW, LONG], {
      // A second Ctrl-C would kill it.
      onOutput: (_, child) => child.killed || child.kill('SIGINT'),
    });
    expect({ code, stderr }).toEqual({ code: 130, stderr: '' });
    expect(stdout).not.toBe('');
  });

  test('a reader that goes away ends it without an error', async () => {
    const { code, stderr } = await runCli(['ask', SLOW, LONG], {
      onOutput: (_, child) => child.stdout?.destroy(),
    });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });
});
