import { PassThrough } from 'node:stream';
import type { Terminal } from '../../lib/cli/thumbnail/terminal-reply.js';

class Input extends PassThrough {
  isTTY = true;
  raw = false;
  /** How it was set, in order. */
  readonly modes: boolean[] = [];

  setRawMode(raw: boolean): void {
    this.raw = raw;
    this.modes.push(raw);
  }
}

/** A terminal that answers each question with these pieces, one after another. */
export class FakeTerminal implements Terminal {
  readonly input = new Input();
  readonly output = Object.assign(new PassThrough(), { isTTY: true });
  /** What it was asked, and what was printed on it. */
  written = '';

  constructor(...pieces: string[]) {
    this.output.setEncoding('utf8').on('data', async (text: string) => {
      this.written += text;
      for (const piece of pieces) {
        this.input.write(piece);
        await new Promise((resolve) => setImmediate(resolve));
      }
    });
  }
}
