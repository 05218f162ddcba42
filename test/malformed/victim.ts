import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { root } from '../files.js';

/** What became of one hostile input: it was handled, refused with an error, or ended the process or its time. */
export type Outcome = 'fine' | { code: unknown; message: string } | { died: string };

/** A child process that tries one hostile input at a time; a fresh one takes over where one dies. */
export class Victim {
  #child: ChildProcess | undefined;

  /** `program`: a module of this folder that says when it is ready, then answers each message with an {@link Outcome}. */
  constructor(
    readonly program: string,
    readonly limitMs: number,
    readonly args: readonly string[] = [],
  ) {}

  async try(input: string): Promise<Outcome> {
    this.#child ??= await this.#start();
    const child = this.#child;
    return new Promise((resolve) => {
      const finish = (outcome: Outcome) => {
        clearTimeout(timer);
        child.removeAllListeners();
        if (outcome !== 'fine' && 'died' in outcome) this.#child = undefined;
        resolve(outcome);
      };
      const timer = setTimeout(() => {
        child.kill('SIGKILL');
        finish({ died: `took more than ${this.limitMs} ms` });
      }, this.limitMs);
      child.once('message', finish);
      child.once('exit', (code, signal) => finish({ died: `exit code ${code}, signal ${signal}` }));
      // The one before may have killed it belatedly.
      child.send(input, (error) => error && finish({ died: `before: ${error.message}` }));
    });
  }

  /** Lets the child end by itself, as a program does, and resolves with its exit code. */
  async end(): Promise<number | null> {
    const child = this.#child;
    if (child === undefined) return 0;
    const ended = once(child, 'exit');
    child.disconnect();
    const [code] = await ended;
    return code as number | null;
  }

  async #start(): Promise<ChildProcess> {
    const { NODE_OPTIONS: _, ...env } = process.env;
    const program = join(root, 'test', 'malformed', this.program);
    const child = fork(program, this.args, {
      cwd: root,
      env,
      execArgv: [],
      // What libraries complain about on stderr is of no interest.
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    await once(child, 'message');
    return child;
  }
}

/** Whether an outcome is one that a hostile input may have: success, or an error with a code that is not our own fault. */
export function isAcceptable(outcome: Outcome): boolean {
  if (outcome === 'fine') return true;
  return 'code' in outcome && /^ERR_XGENMM_(?!INTERNAL)/.test(String(outcome.code));
}
