import { runForJson, runProgram } from './program.mjs';

/** llama.cpp's llama-bench as the benchmark runs it: its own settings but for the threads, each test once after its warm-up. */
export class LlamaBench {
  /**
   * @param {string} tool
   * @param {string} version
   * @param {string} model
   * @param {number} threads
   */
  constructor(tool, version, model, threads) {
    this.tool = tool;
    this.version = version;
    this.model = model;
    this.threads = threads;
  }

  /**
   * Rejects where that is no llama-bench.
   * @param {string} tool
   * @param {string} model A plain phi3 file.
   * @param {number} threads
   * @param {AbortSignal} signal
   */
  static async find(tool, model, threads, signal) {
    const { output, said } = await runProgram(tool, ['--version'], signal);
    const version = /^version: (.+)$/m.exec(said + output)?.[1];
    if (version === undefined)
      throw new Error(`Expected llama-bench at ${tool}, which says its version, received none`);
    return new LlamaBench(tool, version, model, threads);
  }

  /**
   * Tokens in a second for prompts of these lengths, by length.
   * @param {number[]} lengths
   * @param {AbortSignal} signal
   */
  async measurePrefill(lengths, signal) {
    const tests = await this.#run(['-p', lengths.join(), '-n', '0'], signal);
    return new Map(tests.map(({ n_prompt, avg_ts }) => [n_prompt, avg_ts]));
  }

  /**
   * Tokens in a second after that many positions, by depth.
   * @param {number[]} depths
   * @param {number} tokens How many are timed.
   * @param {AbortSignal} signal
   */
  async measureDecode(depths, tokens, signal) {
    const tests = await this.#run(['-p', '0', '-n', `${tokens}`, '-d', depths.join()], signal);
    return new Map(tests.map(({ n_depth, avg_ts }) => [n_depth, avg_ts]));
  }

  /**
   * @param {string[]} tests
   * @param {AbortSignal} signal
   * @returns {Promise<{ n_prompt: number, n_depth: number, avg_ts: number }[]>}
   */
  async #run(tests, signal) {
    const settings = ['-m', this.model, '-t', `${this.threads}`, '-ngl', '0', '-r', '1', '-o', 'json'];
    return (await runForJson(this.tool, [...settings, ...tests], signal)).result;
  }
}
