import { describe, expect, test } from 'vitest';
import { askTerminal } from '../../lib/cli/thumbnail/terminal-reply.js';
import { FakeTerminal } from './fake-terminal.js';

const KITTY = '\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\';
const QUESTION = '\x1b[c';

/** Long enough for every fake to answer. */
const SOON = 5_000;

/** `signals` gets those that keys send. */
function ask(terminal: FakeTerminal, { kitty = false, timeout = SOON, signals = [] as string[] } = {}) {
  return askTerminal(terminal, kitty, timeout, (signal) => signals.push(signal));
}

describe('a terminal says what it can do', () => {
  test.each([
    ['at once', ['\x1b[?62;4;22c'], [62, 4, 22]],
    ['byte by byte', [...'\x1b[?1;2c'], [1, 2]],
    ['one thing', ['\x1b[?6c'], [6]],
  ])('%s', async (_, pieces, attributes) => {
    const terminal = new FakeTerminal(...pieces);
    expect(await ask(terminal)).toEqual({ attributes, kitty: false, typed: 0 });
    expect(terminal.written).toBe(QUESTION);
    expect(terminal.input.modes).toEqual([true, false]);
    expect(terminal.input.listenerCount('data')).toBe(0);
    expect(terminal.input.isPaused()).toBe(true);
  });

  test.each([
    ['OK', true],
    ['ENOTSUP:no', false],
  ])("Kitty's protocol: %s", async (reply, kitty) => {
    const terminal = new FakeTerminal(`\x1b_Gi=31;${reply}\x1b\\`, '\x1b[?62;c');
    expect(await ask(terminal, { kitty: true })).toMatchObject({ kitty, typed: 0 });
    expect(terminal.written).toBe(KITTY + QUESTION);
  });
});

test('a terminal that says nothing is given up', async () => {
  const terminal = new FakeTerminal();
  expect(await ask(terminal, { timeout: 20 })).toEqual({ kitty: false, typed: 0 });
  expect(terminal.input.raw).toBe(false);
});

test('one that has gone away is no error', async () => {
  const gone = new FakeTerminal();
  gone.output.on('data', () => gone.input.destroy(new Error('EIO')));
  expect(await ask(gone)).toEqual({ kitty: false, typed: 0 });
  const broken = new FakeTerminal();
  broken.input.setRawMode = () => {
    throw new Error('EIO');
  };
  expect(await ask(broken)).toEqual({ kitty: false, typed: 0 });
  expect(broken.written).toBe('');
});

describe('what is typed meanwhile', () => {
  test('is counted', async () => {
    const terminal = new FakeTerminal('ls', '\x1b[?62;4', 'cé\r');
    expect(await ask(terminal)).toEqual({ kitty: false, typed: 4, attributes: [62, 4] });
  });

  test.each([
    ['an arrow', '\x1b[A', 1],
    ['arrows of an application', '\x1bOA\x1bOB', 2],
    ['F5 with Shift', '\x1b[15;2~', 1],
    ['Alt and a letter', '\x1bx', 1],
    ['Escape', '\x1b', 1],
    ['Escape twice', '\x1b\x1b', 2],
    ['an emoji', '😀', 1],
    ['words between arrows', '\x1b[Da é\x1b[C', 5],
  ])('is counted by keys: %s', async (_, keys, typed) => {
    expect(await ask(new FakeTerminal(keys, '\x1b[?6c'))).toMatchObject({ typed, attributes: [6] });
  });

  test.each([
    ['\x03', 'SIGINT'],
    ['\x1a', 'SIGTSTP'],
    ['\x1c', 'SIGQUIT'],
  ])('does what its key does: %j', async (key, signal) => {
    const terminal = new FakeTerminal(`x${key}`);
    const signals: string[] = [];
    expect(await ask(terminal, { signals })).toEqual({ kitty: false, typed: 1 });
    expect(signals).toEqual([signal]);
    expect(terminal.input.raw).toBe(false);
  });
});
