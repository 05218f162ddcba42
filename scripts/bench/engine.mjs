import { fileURLToPath } from 'node:url';
import { runForJson } from './program.mjs';

const PROGRAM = fileURLToPath(new URL('engine-program.mjs', import.meta.url));

/** This package, one process for each {@link import('./engine-program.mjs').Job}. */
export class Engine {
  /**
   * @param {string} model
   * @param {number} threads
   */
  constructor(model, threads) {
    this.model = model;
    this.threads = threads;
  }

  /**
   * @param {import('./engine-program.mjs').Job} job
   * @param {AbortSignal} signal
   */
  async run(job, signal) {
    const order = JSON.stringify({ job, model: this.model, threads: this.threads });
    const { result, memory } = await runForJson(process.execPath, [PROGRAM, order], signal);
    return { ...result, memory };
  }
}
