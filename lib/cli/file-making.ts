import { Presets, SingleBar } from 'cli-progress';
import type { PartTypes } from '../convert/mixture.js';
import type { TensorGroup } from '../convert/tensor-group.js';
import type { WriteOptions } from '../convert/write-gguf.js';
import { formatBytes } from '../quantity.js';
import { takesBars } from './bar-terminal.js';
import { PARTS } from './inspection-text.js';
import { Interruption } from './interruption.js';
import { formatTable } from './table.js';
import { visible } from './visible.js';

/** A file that was written, or would be. */
interface Made {
  path: string;
  types: PartTypes;
  tensors: TensorGroup[];
  bytes: number;
}

/**
 * Runs the making of a model file with a bar, its notes and, at last, what was made on stderr. Ctrl-C stops it without a trace.
 * `verb`: stands in front of the bar.
 */
export function makeFile(verb: string, make: (options: WriteOptions) => Promise<Made>): Promise<void> {
  return Interruption.guard(async ({ signal }) => {
    const start = performance.now();
    const bar = new FileBar(verb);
    const onNote = (note: string) => process.stderr.write(`Note: ${visible(note)}\n`);
    const onProgress = (done: number, total: number) => bar.show(done, total);
    try {
      const made = await make({ signal, onNote, onProgress });
      bar.clear();
      const seconds = ((performance.now() - start) / 1000).toFixed(1);
      process.stderr.write(`${describeFile(made)}, in ${seconds} s\n`);
    } finally {
      bar.clear();
    }
  });
}

/** What a file is or would be, without its tensors. */
function describeFile({ path, types, tensors, bytes }: Made): string {
  const stored = Object.entries(types)
    .filter(([name, type]) => type !== undefined && tensors.some(({ part }) => part === name))
    .map(([part, type]) => `${PARTS[part as keyof PartTypes]} ${type}`);
  return `${visible(path)}: ${formatBytes(bytes)}, ${stored.join(', ')}`;
}

/** What a file would be, as lines for people. */
export function describeOutlook(made: Made, facts: string): string[] {
  return [
    `${describeFile(made)}; ${facts}`,
    ...formatTable([
      ['tensors', 'type', 'count', 'size'],
      ...made.tensors.map(({ part, type, count, bytes }) => [
        PARTS[part],
        type,
        `${count}`,
        formatBytes(bytes),
      ]),
    ]),
  ];
}

/** A bar on stderr with rate and time left, if somebody is watching. */
class FileBar {
  readonly #bar: SingleBar;
  #start = 0;

  constructor(verb: string) {
    this.#bar = new SingleBar(
      {
        format: `${verb} {bar} {percentage}%, {rate}/s, {eta_formatted} left`,
        barsize: Math.max(5, Math.min(40, (process.stderr.columns ?? 80) - 45)),
        clearOnComplete: true,
        // A second Ctrl-C ends the process without setting the terminal back.
        linewrap: true,
        etaBuffer: 100,
      },
      Presets.shades_classic,
    );
  }

  show(done: number, total: number): void {
    if (!takesBars()) return;
    if (!this.#bar.isActive) {
      this.#start = performance.now();
      this.#bar.start(total, done, { rate: formatBytes(0) });
    }
    const seconds = (performance.now() - this.#start) / 1000;
    this.#bar.update(done, { rate: formatBytes(seconds === 0 ? 0 : Math.round(done / seconds)) });
  }

  clear(): void {
    if (this.#bar.isActive) this.#bar.stop();
  }
}
