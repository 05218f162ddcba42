import { askTerminal, type Terminal } from './terminal-reply.js';

/** A way in which terminals take pictures. */
export type Protocol = 'kitty' | 'iterm' | 'sixel';

/** Where a program runs. */
export interface Surroundings extends Terminal {
  env: NodeJS.ProcessEnv;
  platform: NodeJS.Platform;
  /** Whether it may ask the terminal: see {@link isForeground}. */
  foreground: boolean;
}

/** How a terminal shows pictures, if it can. */
export interface Detection {
  protocol?: Protocol;
  /** Keys pressed while it was asked, which are lost. */
  typed: number;
}

const NONE: Detection = { typed: 0 };
const SIXEL = 4;
/** Milliseconds: the way to the other end of the world and back. */
const TIMEOUT = 1000;

/** Finds out how pictures can be shown where a program runs: from the environment, or else by asking the terminal. */
export async function detectProtocol(surroundings: Surroundings): Promise<Detection> {
  const { env, platform, foreground, ...terminal } = surroundings;
  if (!terminal.output.isTTY || isUnwanted(env)) return NONE;
  const named = namedProtocol(env);
  if (named !== undefined) return { protocol: named, typed: 0 };
  // On Windows a reply does not come back as it was sent.
  if (!terminal.input.isTTY || !foreground || platform === 'win32') return NONE;
  const { attributes, kitty, typed } = await askTerminal(terminal, isSet(env.KITTY_WINDOW_ID), TIMEOUT);
  if (kitty) return { protocol: 'kitty', typed };
  return attributes?.includes(SIXEL) ? { protocol: 'sixel', typed } : { typed };
}

/** Where nobody looks, where colours are not liked, and where a multiplexer would have to pass pictures on. */
function isUnwanted({ CI, NO_COLOR, TERM = '', TMUX, STY, ZELLIJ }: NodeJS.ProcessEnv): boolean {
  const watched = !isSet(CI) || CI === 'false';
  return !watched || [NO_COLOR, TMUX, STY, ZELLIJ].some(isSet) || /^(dumb$|screen|tmux)/.test(TERM);
}

/** What a terminal that names itself is known to take. Others inherit variables of the terminal that they were started from, so order counts. */
function namedProtocol({ TERM, TERM_PROGRAM, LC_TERMINAL }: NodeJS.ProcessEnv): Protocol | undefined {
  if (TERM === 'xterm-kitty' || TERM === 'xterm-ghostty') return 'kitty';
  const program = [TERM_PROGRAM, LC_TERMINAL].find(isSet) ?? '';
  return ['iTerm.app', 'iTerm2', 'WezTerm'].includes(program) ? 'iterm' : undefined;
}

function isSet(variable: string | undefined): boolean {
  return variable !== undefined && variable !== '';
}
