import { createInterface, type Interface, type Key } from 'node:readline';
import { Writable } from 'node:stream';

/** readline's output: stderr, unless something else is being shown there. */
class EditorOutput extends Writable {
  silent = false;

  get columns(): number {
    return process.stderr.columns;
  }

  override _write(chunk: Buffer, _: BufferEncoding, done: () => void): void {
    if (!this.silent) process.stderr.write(chunk);
    done();
  }
}

/** The lines of stdin: typed at a prompt on stderr where both are a terminal, else just read. */
export class LineInput {
  readonly interactive = Boolean(process.stdin.isTTY && process.stderr.isTTY);
  readonly #output = new EditorOutput();
  readonly #reader: Interface;
  readonly #lines: AsyncIterator<string>;
  #closed = false;

  /** `onInterrupt`: Ctrl-C, which is a key here and no signal; `onKey`: any other. Neither is called unless `interactive`. */
  constructor({ onInterrupt, onKey }: { onInterrupt(): void; onKey(): void }) {
    this.#reader = createInterface({
      input: process.stdin,
      ...(this.interactive ? { output: this.#output, terminal: true } : {}),
    });
    this.#lines = this.#reader[Symbol.asyncIterator]();
    if (!this.interactive) return;
    // Ctrl-D does it, also during an answer.
    this.#reader.on('close', () => {
      this.#closed = true;
    });
    this.#reader.on('SIGINT', onInterrupt);
    process.stdin.on('keypress', (_: string, key: Key) => {
      if (!(key.ctrl && key.name === 'c')) onKey();
    });
  }

  /** The next line, asked for with `prompt`; undefined when there are no more. What is typed before it is shown with the next prompt. */
  async next(prompt: string): Promise<string | undefined> {
    if (this.interactive && !this.#closed) {
      this.#output.silent = false;
      this.#reader.setPrompt(prompt);
      this.#reader.prompt(true);
    }
    const { value, done } = await this.#lines.next();
    this.#output.silent = true;
    if (!done) return value;
    // Whatever follows does not belong into the prompt's line.
    if (this.interactive) process.stderr.write('\n');
    return undefined;
  }

  /** Drops what is typed so far and shows the prompt anew, below `note`. */
  restart(note: string, prompt: string): void {
    if (!this.interactive || this.#closed) return;
    this.#reader.write(null, { ctrl: true, name: 'e' });
    this.#reader.write(null, { ctrl: true, name: 'u' });
    process.stderr.write(`\n${note}\n`);
    this.#reader.setPrompt(prompt);
    this.#reader.prompt();
  }

  /** Ends the lines. */
  close(): void {
    this.#reader.close();
  }
}
