import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { root } from '../files.js';

/** What a finished program left. */
export interface Run {
  /** null: ended by a signal. */
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  cwd?: string;
  /** Environment variables beside those of this process. */
  env?: Record<string, string>;
  /** Called with each piece of stderr as it comes. */
  onNote?: (piece: string, child: ChildProcess) => void;
  /** All of stdin. */
  input?: string;
  /** Called with each piece of stdout as it comes. */
  onOutput?: (piece: string, child: ChildProcess) => void;
}

/** Runs a program; unless told otherwise its stdin is empty. */
export function runProgram(
  program: string,
  args: string[],
  { cwd = root, env, input = '', onOutput, onNote }: RunOptions = {},
): Promise<Run> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd, env: { ...process.env, ...env } });
    // A program need not read it.
    child.stdin.on('error', () => {});
    child.stdin.end(input);
    const run: Run = { code: null, stdout: '', stderr: '' };
    child.stdout.setEncoding('utf8').on('data', (piece: string) => {
      run.stdout += piece;
      onOutput?.(piece, child);
    });
    child.stderr.setEncoding('utf8').on('data', (piece: string) => {
      run.stderr += piece;
      onNote?.(piece, child);
    });
    child.on('error', reject).on('close', (code) => resolve({ ...run, code }));
  });
}

/** Runs a script of the checkout, by its path in there, with Node.js. */
export function runScript(script: string, args: string[] = [], options?: RunOptions): Promise<Run> {
  return runProgram(process.execPath, [join(root, script), ...args], options);
}

/** Runs `xgen-mm` with these arguments. */
export function runCli(args: string[], options?: RunOptions): Promise<Run> {
  return runScript('dist/cli/main.js', args, options);
}
