import { Presets, SingleBar } from 'cli-progress';
import { takesBars } from './bar-terminal.js';

/** A bar on stderr that shows how far each stage of the work is and goes away afterwards, if somebody is watching. */
export class StageBar {
  readonly #bar = new SingleBar(
    {
      format: '{stage} {bar} {percentage}%',
      barsize: Math.max(5, Math.min(40, (process.stderr.columns ?? 80) - 35)),
      clearOnComplete: true,
      // The terminal stays as it is: a second Ctrl-C ends the process without setting anything back.
      linewrap: true,
    },
    Presets.shades_classic,
  );

  /** `fraction`: 0 to 1. */
  show(stage: string, fraction: number): void {
    if (!takesBars()) return;
    if (this.#bar.isActive) this.#bar.update(fraction, { stage });
    else this.#bar.start(1, fraction, { stage });
  }

  clear(): void {
    if (this.#bar.isActive) this.#bar.stop();
  }
}
