import { access, constants, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { XgenmmError } from '../errors.js';

/** What a line of a chat asks for. */
export type ChatLine =
  | { kind: 'question'; text: string }
  | { kind: 'image'; location: string }
  | { kind: 'reset' | 'help' | 'quit' | 'nothing' };

export const CHAT_HELP = `/image <file>  adds a picture to the next question; may be given several times
/reset         begins a new chat
/help          shows this
/quit          leaves, as Ctrl-D does
Ctrl-C stops an answer; at the prompt it drops the line and its pictures, and leaves the second time.
`;

/** Throws ERR_XGENMM_INVALID_ARGUMENT for a command that does not exist or has no file. */
export function parseChatLine(line: string): ChatLine {
  const text = line.trim();
  if (text === '') return { kind: 'nothing' };
  if (!text.startsWith('/')) return { kind: 'question', text };
  const [command = '', argument = ''] = splitCommand(text);
  if (command === '/image' && argument !== '') return { kind: 'image', location: unquote(argument) };
  if (command === '/image') throw wrongLine('/image <file>', text);
  const kind = (['reset', 'help', 'quit'] as const).find((name) => `/${name}` === command);
  if (kind === undefined || argument !== '') throw wrongLine('/image <file>, /reset, /help or /quit', text);
  return { kind };
}

/**
 * Throws ERR_XGENMM_FILE_NOT_FOUND unless there is a file that can be read, so that a slip is noticed before the question is put.
 * URLs are taken as they are.
 */
export async function checkPicture(location: string): Promise<void> {
  if (/^(https?|data|file):/i.test(location)) return;
  const reason = await access(location, constants.R_OK)
    .then(async () => ((await stat(location)).isFile() ? undefined : 'something that is no file'))
    .catch((error: NodeJS.ErrnoException) => error.code ?? error.message);
  if (reason !== undefined) {
    throw new XgenmmError(
      'ERR_XGENMM_FILE_NOT_FOUND',
      `Expected a readable picture at ${location}, received ${reason}`,
    );
  }
}

function splitCommand(text: string): string[] {
  const [, command = '', argument = ''] = /^(\S+)\s*(.*)$/s.exec(text) ?? [];
  return [command, argument];
}

/** A path as people type it, or as a terminal writes a file that is dropped on it: in quotes, with escaped spaces, below `~`. */
function unquote(argument: string): string {
  const [, , inside] = /^(["'])(.*)\1$/s.exec(argument) ?? [];
  if (inside !== undefined) return inside;
  const path = process.platform === 'win32' ? argument : argument.replace(/\\(.)/gs, '$1');
  return path.startsWith('~/') ? join(homedir(), path.slice(2)) : path;
}

function wrongLine(expected: string, received: string): XgenmmError {
  return new XgenmmError('ERR_XGENMM_INVALID_ARGUMENT', `Expected ${expected}, received ${received}`);
}
