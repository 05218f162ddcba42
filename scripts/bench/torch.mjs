import { fileURLToPath } from 'node:url';
import { runForJson } from './program.mjs';

const SCRIPT = fileURLToPath(new URL('siglip.py', import.meta.url));

/** PyTorch as the benchmark runs it. */
export class Torch {
  /**
   * @param {string} python
   * @param {string} version
   * @param {number} threads
   */
  constructor(python, version, threads) {
    this.python = python;
    this.version = version;
    this.threads = threads;
  }

  /**
   * Rejects where that Python has no PyTorch.
   * @param {string} python
   * @param {number} threads
   * @param {AbortSignal} signal
   */
  static async find(python, threads, signal) {
    const { result } = await runForJson(python, [SCRIPT, '--threads', `${threads}`, '--check'], signal);
    return new Torch(python, result.version, threads);
  }

  /**
   * Mean milliseconds of a tile in the tower and of a tile in the resampler.
   * @param {number} passes How many tiles that is the mean of.
   * @param {AbortSignal} signal
   */
  async measureVision(passes, signal) {
    const args = [SCRIPT, '--threads', `${this.threads}`, '--passes', `${passes}`];
    const { result } = await runForJson(this.python, args, signal);
    return { vision: mean(result.vision), resample: mean(result.resample) };
  }
}

/** @param {number[]} numbers */
function mean(numbers) {
  return numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
}
