import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { join } from 'node:path';
import { root } from '../files.js';
import type { Run } from './run.js';

/** `xgen-mm` with a pipe for stdin, to be talked to while it runs. */
export class CliSession {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #run: Run = { code: null, stdout: '', stderr: '' };
  readonly #ended: Promise<Run>;
  #waiting: (() => void)[] = [];

  constructor(args: string[]) {
    this.#child = spawn(process.execPath, [join(root, 'dist/cli/main.js'), ...args], { cwd: root });
    for (const name of ['stdout', 'stderr'] as const) {
      this.#child[name].setEncoding('utf8').on('data', (piece: string) => {
        this.#run[name] += piece;
        this.#wake();
      });
    }
    // The program may have ended before it has read everything.
    this.#child.stdin.on('error', () => {});
    this.#ended = new Promise((resolve, reject) => {
      this.#child.on('error', reject).on('close', (code) => {
        this.#run.code = code;
        this.#wake();
        resolve(this.#run);
      });
    });
  }

  say(...lines: string[]): void {
    this.#child.stdin.write(lines.map((line) => `${line}\n`).join(''));
  }

  interrupt(): void {
    this.#child.kill('SIGINT');
  }

  /** Resolves with what has come so far once `ready` accepts it; rejects if the program ends before. */
  async until(ready: (run: Readonly<Run>) => boolean): Promise<Readonly<Run>> {
    let ended = false;
    void this.#ended.then(() => {
      ended = true;
    });
    while (!ready(this.#run)) {
      if (ended) throw new Error(`the program has ended: ${JSON.stringify(this.#run)}`);
      await Promise.race([this.#ended, new Promise<void>((resolve) => this.#waiting.push(resolve))]);
    }
    return { ...this.#run };
  }

  /** No more lines. Resolves when the program has ended. */
  end(): Promise<Run> {
    this.#child.stdin.end();
    return this.#ended;
  }

  /** Resolves when the program has ended by itself. */
  get ended(): Promise<Run> {
    return this.#ended;
  }

  #wake(): void {
    for (const resume of this.#waiting.splice(0)) resume();
  }
}
