import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type ChatOptions, type GenerateOptions, loadModel } from '../../lib/index.js';
import { modelFile, picture } from '../files.js';
import { runCli } from './run.js';
import { CliSession } from './session.js';

// Programs are started one after another, which a busy machine may take its time over.
vi.setConfig({ testTimeout: 300_000 });

const TINY = modelFile('tiny-f32');
/** Takes milliseconds a token: an answer takes long enough to be interrupted. */
const SLOW = modelFile('wide-f32');
const LONG = 'Tell me a long story.';
const ONE_THREAD = ['--threads', '1'];

type Question = string | { image: string; text: string };

/** The answers of one chat without the command line. */
async function answersOf(
  questions: Question[],
  options: GenerateOptions,
  chatOptions?: ChatOptions,
): Promise<string[]> {
  const model = await loadModel(TINY, { threads: 1 });
  try {
    const chat = model.chat(chatOptions);
    const answers: string[] = [];
    for (const question of questions) {
      const content = typeof question === 'string' ? question : [{ image: question.image }, question.text];
      answers.push((await chat.ask(content, options)).text);
    }
    return answers;
  } finally {
    await model.dispose();
  }
}

/** A finished chat over these lines. */
function chatOver(lines: string[], ...flags: string[]) {
  const session = new CliSession(['chat', TINY, '-n', '8', ...ONE_THREAD, ...flags]);
  session.say(...lines);
  return session.end();
}

const printed = (answers: string[]) => answers.map((text) => `${text}\n`).join('');

let folder: string;
let spaced: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'xgen-mm-'));
  spaced = join(folder, "a picture's copy.png");
  copyFileSync(picture(), spaced);
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('xgen-mm chat over a pipe', () => {
  test('answers each line in the light of the ones before, with nothing but answers on stdout', async () => {
    const [answers, strangers] = await Promise.all([
      answersOf(['hello', 'and now?'], { maxTokens: 8 }),
      answersOf(['and now?'], { maxTokens: 8 }),
    ]);
    expect(answers[1]).not.toBe(strangers[0]);
    const { code, stdout, stderr } = await chatOver(['hello', '', '  and now?  ']);
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: printed(answers), stderr: '' });
  });

  test('answers as soon as a line has come', async () => {
    const session = new CliSession(['chat', TINY, '-n', '8', ...ONE_THREAD]);
    session.say('hello');
    const { stdout } = await session.until((run) => run.stdout.endsWith('\n'));
    session.say('and now?');
    await session.until((run) => run.stdout.length > stdout.length && run.stdout.endsWith('\n'));
    expect((await session.end()).code).toBe(0);
  });

  test('a last line without its end counts', async () => {
    const { code, stdout } = await runCli(['chat', TINY, '-n', '8', ...ONE_THREAD], { input: 'hello' });
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: printed(await answersOf(['hello'], { maxTokens: 8 })),
    });
  });

  test('/image puts pictures in front of the next question', async () => {
    const expected = await answersOf([{ image: picture(), text: 'What is it?' }, 'Why?'], { maxTokens: 8 });
    for (const path of [picture(), spaced, `"${spaced}"`]) {
      const { code, stdout, stderr } = await chatOver([`/image ${path}`, 'What is it?', 'Why?']);
      expect({ path, code, stdout, stderr }).toEqual({
        path,
        code: 0,
        stdout: printed(expected),
        stderr: '',
      });
    }
  });

  // There a backslash parts folders.
  test.skipIf(process.platform === 'win32')('a path may have its spaces escaped', async () => {
    const expected = await answersOf([{ image: picture(), text: 'What is it?' }], { maxTokens: 8 });
    const { stdout } = await chatOver([`/image ${spaced.replace(/[ ']/g, '\\$&')}`, 'What is it?']);
    expect(stdout).toBe(printed(expected));
  });

  test('/reset begins a new chat, without the pictures that were added', async () => {
    const [answer] = await answersOf(['hello'], { maxTokens: 8 });
    const { stdout } = await chatOver(['hello', `/image ${picture()}`, '/reset', 'hello']);
    expect(stdout).toBe(printed([answer as string, answer as string]));
  });

  test('/quit leaves, /help helps on stderr', async () => {
    const { code, stdout, stderr } = await chatOver(['/help', '/quit', 'hello']);
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
    expect(stderr).toMatch(/\/image.*\n\/reset.*\n\/help.*\n\/quit.*\n/);
  });

  test('--system and the sampling flags reach the model', async () => {
    const options = { maxTokens: 8, temperature: 1.5, topK: 20, seed: 7n, repetitionPenalty: 1.3 };
    const [expected] = await answersOf(['hello'], options, { system: 'Be brief.' });
    const flags = ['--temperature', '1.5', '--top-k', '20', '--seed', '7', '--repetition-penalty', '1.3'];
    const { stdout } = await chatOver(['hello'], '--system', 'Be brief.', ...flags);
    expect(stdout).toBe(printed([expected as string]));
  });

  test('goes on where the context is full', async () => {
    const long = 'word '.repeat(40);
    const lines = Array.from({ length: 6 }, () => long);
    const { code, stdout, stderr } = await chatOver(lines, '--context', '500');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout.split('\n').length).toBeGreaterThan(6);
  });
});

describe('what goes wrong is said at once and the chat goes on', () => {
  test.each([
    ['/image no-such.png', /^xgen-mm: .*no-such\.png, received ENOENT \(ERR_XGENMM_FILE_NOT_FOUND\)\n$/],
    [`/image ${tmpdir()}`, /^xgen-mm: .*no file \(ERR_XGENMM_FILE_NOT_FOUND\)\n$/],
    ['/image', /^xgen-mm: Expected \/image <file>, .*\(ERR_XGENMM_INVALID_ARGUMENT\)\n$/],
    ['/rest', /^xgen-mm: Expected .*\/reset.*\/rest \(ERR_XGENMM_INVALID_ARGUMENT\)\n$/],
    ['word '.repeat(5000), /^xgen-mm: [^\n]* \(ERR_XGENMM_CONTEXT_OVERFLOW\)\n$/],
  ])('line %#', async (line, message) => {
    const expected = await answersOf(['hello'], { maxTokens: 8 });
    const { code, stdout, stderr } = await chatOver([line, 'hello']);
    expect({ code, stdout }).toEqual({ code: 1, stdout: printed(expected) });
    expect(stderr).toMatch(message);
  });

  test('a base model is sent to ask', async () => {
    const { code, stdout, stderr } = await runCli(['chat', modelFile('tiny_base-f32')]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^xgen-mm: .*`xgen-mm ask` \(ERR_XGENMM_MODEL_UNSUPPORTED\)\n$/);
  });

  test('a model that is not there ends it', async () => {
    const { code, stderr } = await runCli(['chat', 'no-such.gguf']);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^xgen-mm: [^\n]+ \(ERR_XGENMM_FILE_NOT_FOUND\)\n$/);
  });
});

// Windows has no signals that a program could catch, and says EOF where others say EPIPE.
describe.skipIf(process.platform === 'win32')('Ctrl-C', () => {
  const startSlow = (...flags: string[]) => new CliSession(['chat', SLOW, ...ONE_THREAD, ...flags]);

  test('stops an answer; the chat keeps what was said and goes on', async () => {
    const model = await loadModel(SLOW, { threads: 1, contextSize: 600 });
    const [whole, first] = [await model.chat().ask(LONG), await model.chat().ask('hello')];
    await model.dispose();
    const session = startSlow('--context', '600');
    session.say(LONG);
    await session.until(({ stdout }) => stdout !== '');
    session.interrupt();
    session.say('/mark');
    const { stdout } = await session.until(({ stderr }) => stderr.includes('/mark'));
    expect(stdout.length).toBeLessThan(whole.text.length);
    expect(whole.text.startsWith(stdout.slice(0, -1))).toBe(true);
    session.say('hello');
    const end = await session.end();
    const answer = end.stdout.slice(stdout.length);
    expect(answer).toMatch(/.\n$/s);
    // It would be the same had the story been forgotten.
    expect(answer).not.toBe(`${first.text}\n`);
  });

  test('between answers drops the pictures, and twice in a row leaves with 130', async () => {
    const [expected] = await answersOf(['hello'], { maxTokens: 8 });
    const session = new CliSession(['chat', TINY, '-n', '8', ...ONE_THREAD]);
    /**
     * Lines that change nothing, to see that everything before them was heard. Two, since of what comes at once a program is told
     * the lines before the signals.
     */
    const settle = async (mark: string) => {
      for (const line of [`${mark}-one`, `${mark}-two`]) {
        session.say(line);
        await session.until(({ stderr }) => stderr.includes(line));
      }
    };
    session.say(`/image ${picture()}`);
    await settle('/first');
    session.interrupt();
    await settle('/second');
    session.say('hello');
    const { stdout } = await session.until((run) => run.stdout.endsWith('\n'));
    expect(stdout).toBe(`${expected}\n`);
    // The answer in between has made it forget the first one.
    session.interrupt();
    await settle('/third');
    session.interrupt();
    expect((await session.ended).code).toBe(130);
  });

  test('twice in a row leaves also while it is answering line after line', async () => {
    const session = startSlow();
    session.say(LONG, LONG, LONG, LONG);
    await session.until(({ stdout }) => stdout !== '');
    session.interrupt();
    const { stdout } = await session.until((run) => run.stdout.includes('\n'));
    await session.until((run) => run.stdout.length > stdout.length);
    session.interrupt();
    expect(await session.ended).toMatchObject({ code: 130, stderr: '' });
  });

  test('a reader that goes away ends it without an error', async () => {
    const { code, stderr } = await runCli(['chat', SLOW, ...ONE_THREAD], {
      input: `${LONG}\n${LONG}\n`,
      onOutput: (_, child) => child.stdout?.destroy(),
    });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });
});
