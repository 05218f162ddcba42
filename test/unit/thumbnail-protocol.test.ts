import { describe, expect, test } from 'vitest';
import { detectProtocol } from '../../lib/cli/thumbnail/protocol.js';
import { FakeTerminal } from './fake-terminal.js';

const SIXEL = '\x1b[?62;4;22c';
const PLAIN = '\x1b[?62;22c';
const OK = '\x1b_Gi=31;OK\x1b\\';
const XTERM = { TERM: 'xterm-256color' };

async function detect(
  terminal: FakeTerminal,
  env: NodeJS.ProcessEnv,
  { platform = 'linux' as NodeJS.Platform, foreground = true } = {},
) {
  const { input, output } = terminal;
  const { protocol, typed } = await detectProtocol({ input, output, env, platform, foreground });
  return { protocol, typed, asked: terminal.written !== '' };
}

describe('a terminal that names itself is not asked', () => {
  test.each<[NodeJS.ProcessEnv, string]>([
    [{ TERM: 'xterm-kitty', TERM_PROGRAM: 'WezTerm' }, 'kitty'],
    [{ TERM: 'xterm-ghostty', TERM_PROGRAM: 'ghostty' }, 'kitty'],
    [{ ...XTERM, TERM_PROGRAM: 'iTerm.app', LC_TERMINAL: 'iTerm2' }, 'iterm'],
    [{ ...XTERM, LC_TERMINAL: 'iTerm2' }, 'iterm'],
    [{ ...XTERM, TERM_PROGRAM: '', LC_TERMINAL: 'iTerm2' }, 'iterm'],
    [{ ...XTERM, TERM_PROGRAM: 'WezTerm', CI: 'false', NO_COLOR: '' }, 'iterm'],
  ])('%j', async (env, protocol) => {
    expect(await detect(new FakeTerminal(), env)).toEqual({ protocol, typed: 0, asked: false });
  });
});

describe('others are asked', () => {
  test.each<[string, NodeJS.ProcessEnv, string, string | undefined]>([
    ['Sixel', XTERM, SIXEL, 'sixel'],
    ['no Sixel', XTERM, PLAIN, undefined],
    ['VS Code, started from iTerm2', { TERM_PROGRAM: 'vscode', LC_TERMINAL: 'iTerm2' }, SIXEL, 'sixel'],
    ['Kitty under another name', { ...XTERM, KITTY_WINDOW_ID: '1' }, `${OK}${PLAIN}`, 'kitty'],
    ['xterm, started from Kitty', { ...XTERM, KITTY_WINDOW_ID: '1' }, SIXEL, 'sixel'],
  ])('%s', async (_, env, reply, protocol) => {
    const terminal = new FakeTerminal(reply);
    expect(await detect(terminal, env)).toEqual({ protocol, typed: 0, asked: true });
    expect(terminal.written.includes('_G')).toBe('KITTY_WINDOW_ID' in env);
  });

  test('and what is typed meanwhile is counted', async () => {
    expect(await detect(new FakeTerminal('ab', SIXEL), XTERM)).toMatchObject({ protocol: 'sixel', typed: 2 });
  });
});

describe('no pictures, and no question', () => {
  test.each<NodeJS.ProcessEnv>([
    { TERM: 'dumb' },
    { TERM: 'screen-256color' },
    { TERM: 'tmux-256color' },
    { TERM: 'xterm-kitty', TMUX: '/tmp/tmux-0/default,1,0' },
    { ...XTERM, TERM_PROGRAM: 'iTerm.app', STY: '1.pts' },
    { TERM: 'xterm-kitty', ZELLIJ: '0' },
    { TERM: 'xterm-kitty', CI: 'true' },
    { TERM: 'xterm-kitty', NO_COLOR: '1' },
  ])('%j', async (env) => {
    expect(await detect(new FakeTerminal(SIXEL), env)).toEqual({
      protocol: undefined,
      typed: 0,
      asked: false,
    });
  });

  test.each(['input', 'output'] as const)('where %s is no terminal', async (end) => {
    const terminal = new FakeTerminal(SIXEL);
    terminal[end].isTTY = false;
    expect(await detect(terminal, XTERM)).toEqual({ protocol: undefined, typed: 0, asked: false });
  });

  test('on Windows', async () => {
    expect(await detect(new FakeTerminal(SIXEL), {}, { platform: 'win32' })).toMatchObject({ asked: false });
  });

  test('in the background', async () => {
    const terminal = new FakeTerminal(SIXEL);
    expect(await detect(terminal, XTERM, { foreground: false })).toMatchObject({ typed: 0, asked: false });
    const named = { TERM: 'xterm-kitty' };
    expect(await detect(terminal, named, { foreground: false })).toMatchObject({ protocol: 'kitty' });
  });
});
