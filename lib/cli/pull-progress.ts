import { Presets, SingleBar } from 'cli-progress';
import type { DownloadProgress } from '../pull/snapshot.js';
import { formatBytes } from '../quantity.js';
import { takesBars } from './bar-terminal.js';
import { visible } from './visible.js';

/** Seconds over which the rate is taken. */
const WINDOW = 5;
/** Seconds between two samples. */
const INTERVAL = 0.1;

/** What a pull says on stderr: notes, a line for each file, and a bar if somebody is watching. */
export class PullProgress {
  #bar: SingleBar | undefined;
  #file = '';
  #samples: { time: number; done: number }[] = [];

  note(note: string): void {
    this.clear();
    process.stderr.write(`${visible(note)}\n`);
  }

  download({ file, fileDone, fileBytes, done, bytes }: DownloadProgress): void {
    if (file !== this.#file) {
      this.#file = file;
      this.#samples = [];
      this.note(`Downloading ${file}, ${formatBytes(fileBytes)}`);
    }
    if (!takesBars()) return;
    const rate = this.#rate(done);
    const total = bytes === fileBytes ? '' : `, all ${formatBytes(done)} of ${formatBytes(bytes)}`;
    const left = rate > 0 ? `, ${formatDuration((bytes - done) / rate)} left` : '';
    this.#show(fileDone / Math.max(1, fileBytes), `${formatBytes(rate)}/s${total}${left}`);
  }

  convert(done: number, total: number): void {
    if (!takesBars()) return;
    this.#show(done / total, `Converting, ${formatBytes(done)} of ${formatBytes(total)}`);
  }

  clear(): void {
    this.#bar?.stop();
    this.#bar = undefined;
  }

  /** Bytes per second over the last few seconds. */
  #rate(done: number): number {
    const time = performance.now() / 1000;
    if (time - (this.#samples.at(-1)?.time ?? 0) >= INTERVAL) this.#samples.push({ time, done });
    while (time - (this.#samples[0]?.time ?? time) > WINDOW) this.#samples.shift();
    const first = this.#samples[0];
    return first === undefined || time === first.time ? 0 : (done - first.done) / (time - first.time);
  }

  #show(fraction: number, text: string): void {
    if (this.#bar === undefined) {
      const barsize = Math.max(5, Math.min(30, (process.stderr.columns ?? 80) - 70));
      // The terminal stays as it is: a second Ctrl-C ends the process without setting anything back.
      const options = {
        format: '{bar} {percentage}% {text}',
        barsize,
        clearOnComplete: true,
        linewrap: true,
      };
      this.#bar = new SingleBar(options, Presets.shades_classic);
      this.#bar.start(1, fraction, { text });
    }
    this.#bar.update(fraction, { text });
  }
}

function formatDuration(seconds: number): string {
  if (seconds < 60) return `${Math.ceil(seconds)} s`;
  return seconds < 3600 ? `${Math.ceil(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}
