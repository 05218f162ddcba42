import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import { root } from '../files.js';

/** What became of one hostile input: it was handled, refused with an error, or ended the process or its time. */
export type Outcome = 'fine' | { code: unknown; message: string } | { died: string };

/** A child process that tries one hostile input at a time; a fresh one takes over where one dies. */
export class Victim {
  #child: ChildProcess | undefined;

  /** `program`: a module of this folder that answers each message with an {@link Outcome}. */
  constructor(
    readonly program: string,
    readonly limitMs: number,
  ) {}

  async try(input: unknown): Promise<Outcome> {
    this.#child ??= await this.#start();
    const child = this.#child;
    return new Promise((resolve) => {
      const finish = (outcome: Outcome) => {
        clearTimeout(timer);
        child.removeAllListeners();
        resolve(outcome);
      };
      const bury = (cause: string) => {
        this.#child = undefined;
        child.kill('SIGKILL');
        finish({ died: cause });
      };
      const timer = setTimeout(() => bury(`took more than ${this.limitMs} ms`), this.limitMs);
      child.once('message', (outcome: Outcome) => finish(outcome));
      child.once('exit', (code, signal) => bury(`exit code ${code}, signal ${signal}`));
      child.send(input as object);
    });
  }

  end(): void {
    this.#child?.kill();
  }

  async #start(): Promise<ChildProcess> {
    const { NODE_OPTIONS: _, ...env } = process.env;
    const child = fork(join(root, 'test', 'malformed', this.program), { cwd: root, env, execArgv: [] });
    await new Promise((resolve) => child.once('message', resolve));
    return child;
  }
}

/** Whether an outcome is one that a hostile input may have: success, or an error with a code that is not our own fault. */
export function isAcceptable(outcome: Outcome): boolean {
  if (outcome === 'fine') return true;
  return 'code' in outcome && /^ERR_XGENMM_(?!INTERNAL)/.test(String(outcome.code));
}
