import { measurePeaks } from './machine-peaks.mjs';
import { OURS, Results } from './results.mjs';

const LENGTHS = [512, 1024];
const DEPTHS = [0, 700, 2000];
/** Tokens whose time is taken at each depth. */
const TOKENS = 32;
/** Tokens of an answer that copies its prompt. */
const COPIED = 64;
/** Answers that are made together, positions in front of each, and tokens of each. */
const TOGETHER = { answers: 4, depth: 64, tokens: 32 };
const WITHOUT = 'without speculation';
const ALONE = 'one alone';
/** What answers the photograph's question as the best peers together would. */
const MIX = 'PyTorch and llama.cpp';

/**
 * `name`: of the program in the results.
 * @typedef {{ name: string, run: () => Promise<void> }} Turn
 * @typedef {{ name: string, sections: import('./arguments.mjs').Section[], turns: Turn[], finish?: () => void }} Job
 * @typedef {{
 *   engine: import('./engine.mjs').Engine, weights: import('./weights.mjs').Weights,
 *   llama?: import('./llama-bench.mjs').LlamaBench, torch?: import('./torch.mjs').Torch, peaksProgram?: string,
 * }} Programs
 */

/** Everything that is measured, by all programs in turns. */
export class Rounds {
  results = new Results();
  /** @type {import('./machine-peaks.mjs').Peak[][]} Round by round. */
  peaks = [];
  /** Of this round's photograph: tiles, positions of the prompt, and what the peers took. */
  #photograph = { tiles: Number.NaN, positions: Number.NaN, tileTime: Number.NaN, prefillTime: Number.NaN };
  /** @type {'f32' | 'f16' | 'q8_0'} */
  #kvType = 'f16';

  /**
   * @param {import('./bench.mjs').BenchOptions} options
   * @param {Programs} programs
   * @param {(line: string) => void} say
   * @param {AbortSignal} signal
   */
  constructor(options, programs, say, signal) {
    this.options = options;
    this.programs = programs;
    this.say = say;
    this.signal = signal;
  }

  async run() {
    const { rounds, sections } = this.options;
    const jobs = this.#plan().filter((job) => job.sections.some((section) => sections.includes(section)));
    for (let round = 0; round < rounds; round++) {
      for (const { name, turns, finish } of jobs) {
        // Whoever comes second may find the processor warm. Ours is first at first: it tells how long the photograph's prompt is.
        for (const turn of round % 2 === 0 ? turns : turns.toReversed()) {
          const start = performance.now();
          await turn.run();
          const seconds = (performance.now() - start) / 1000;
          this.say(`  round ${round + 1} of ${rounds}, ${name}: ${turn.name}, ${seconds.toFixed(0)} s`);
        }
        finish?.();
      }
    }
  }

  /** @returns {Job[]} */
  #plan() {
    const { llama, torch, peaksProgram } = this.programs;
    const wantsFirstToken = this.options.sections.includes('first-token');
    const mixes = torch && llama && wantsFirstToken;
    /** @type {(name: string, run: (() => Promise<void>) | undefined | false) => Turn[]} */
    const turn = (name, run) => (run ? [{ name, run }] : []);
    return [
      {
        name: 'peaks',
        sections: ['peaks'],
        turns: turn('machine', peaksProgram !== undefined && (() => this.#measurePeaks(peaksProgram))),
      },
      {
        name: 'photograph',
        sections: ['load', 'vision', 'first-token'],
        turns: [
          ...turn(OURS, () => this.#askAboutPhotograph()),
          ...turn('PyTorch', this.#wantsTorch() && torch && (() => this.#encodeWithTorch(torch))),
          ...turn('llama.cpp', mixes && (() => this.#readWithLlama(llama))),
        ],
        ...(mixes ? { finish: () => this.#mix() } : {}),
      },
      {
        name: 'prefill',
        sections: ['prefill'],
        turns: [
          ...turn(OURS, () => this.#readPrompts()),
          ...turn('llama.cpp', llama && (() => this.#prefillWithLlama(llama))),
        ],
      },
      {
        name: 'decode',
        sections: ['decode'],
        turns: [
          ...turn(OURS, () => this.#makeTokens()),
          ...turn('llama.cpp', llama && (() => this.#decodeWithLlama(llama))),
        ],
      },
      {
        name: 'speculation',
        sections: ['speculation'],
        turns: [
          ...turn(OURS, () => this.#repeatPrompts(OURS)),
          ...turn(WITHOUT, () => this.#repeatPrompts(WITHOUT)),
        ],
      },
      { name: 'together', sections: ['together'], turns: turn(OURS, () => this.#answerTogether()) },
    ];
  }

  #wantsTorch() {
    const { sections } = this.options;
    return sections.includes('vision') || (sections.includes('first-token') && this.programs.llama);
  }

  /** @param {string} program */
  async #measurePeaks(program) {
    const peaks = await measurePeaks(program, this.options.threads, this.signal);
    this.peaks.push(peaks);
    for (const { kind, name, unit, value } of peaks) {
      this.#add({ section: 'peaks', name: `${kind}, ${name}`, unit, better: 'neither' }, 'machine', value);
    }
  }

  async #askAboutPhotograph() {
    const result = await this.programs.engine.run({ name: 'photograph' }, this.signal);
    const { load, peak, memory, firstToken, timings, tiles, positions } = result;
    this.#photograph = { ...this.#photograph, tiles, positions };
    this.#add({ section: 'load', name: 'loading', unit: 'ms', better: 'less' }, OURS, load);
    for (const [name, bytes] of [
      ['resident memory, most', peak],
      ['  anonymous, most', memory.anonymous],
      ['  pages of mapped files, most', memory.file],
    ]) {
      this.#add({ section: 'load', name, unit: 'GB', better: 'less' }, OURS, bytes / 1e9);
    }
    if (tiles > 0) {
      this.#add(this.#tile(), OURS, timings.vision / tiles);
      this.#add(this.#resampledTile(), OURS, timings.resample / tiles);
      this.#add(this.#wholeTile(), OURS, (timings.vision + timings.resample) / tiles);
    }
    this.#add(this.#firstToken(), OURS, firstToken);
    const parts = { ...timings, 'decode and preprocess': timings.decode + timings.preprocess };
    for (const name of ['decode and preprocess', 'vision', 'resample', 'prefill']) {
      const part = { section: 'first-token', name: `  of it: ${name}`, unit: 'ms', better: 'less' };
      this.#add(part, OURS, parts[name]);
    }
  }

  /** @param {import('./torch.mjs').Torch} torch */
  async #encodeWithTorch(torch) {
    const { tiles } = this.#photograph;
    if (tiles === 0) return;
    const { vision, resample } = await torch.measureVision(tiles, this.signal);
    this.#photograph.tileTime = vision + resample;
    this.#add(this.#tile(), 'PyTorch', vision);
    this.#add(this.#resampledTile(), 'PyTorch', resample);
    this.#add(this.#wholeTile(), 'PyTorch', vision + resample);
  }

  /** @param {import('./llama-bench.mjs').LlamaBench} llama */
  async #readWithLlama(llama) {
    const { positions } = this.#photograph;
    const rates = await llama.measurePrefill([positions], this.signal);
    this.#photograph.prefillTime = (1000 * positions) / (rates.get(positions) ?? Number.NaN);
  }

  #mix() {
    const { tiles, tileTime, prefillTime } = this.#photograph;
    if (tiles > 0) this.#add(this.#firstToken(), MIX, tiles * tileTime + prefillTime);
  }

  async #readPrompts() {
    const { prompts } = await this.programs.engine.run({ name: 'prefill', lengths: LENGTHS }, this.signal);
    for (const { length, rate } of prompts) this.#add(this.#prefill(length), OURS, rate);
  }

  /** @param {import('./llama-bench.mjs').LlamaBench} llama */
  async #prefillWithLlama(llama) {
    for (const [length, rate] of await llama.measurePrefill(LENGTHS, this.signal)) {
      this.#add(this.#prefill(length), 'llama.cpp', rate);
    }
  }

  async #makeTokens() {
    const job = /** @type {const} */ ({ name: 'decode', depths: DEPTHS, tokens: TOKENS });
    const { answers, kvType } = await this.programs.engine.run(job, this.signal);
    this.#kvType = kvType;
    for (const { depth, rate } of answers) this.#add(this.#decode(depth), OURS, rate);
  }

  /** @param {import('./llama-bench.mjs').LlamaBench} llama */
  async #decodeWithLlama(llama) {
    for (const [depth, rate] of await llama.measureDecode(DEPTHS, TOKENS, this.signal)) {
      this.#add(this.#decode(depth), 'llama.cpp', rate);
    }
  }

  /** @param {OURS | WITHOUT} program */
  async #repeatPrompts(program) {
    const job = /** @type {const} */ ({ name: 'speculation', tokens: COPIED, without: program === WITHOUT });
    const { answers } = await this.programs.engine.run(job, this.signal);
    for (const { kind, rate } of answers) {
      const name = `answer that ${kind}`;
      this.#add({ section: 'speculation', name, unit: 'tokens/s', better: 'more' }, program, rate);
    }
  }

  async #answerTogether() {
    const job = /** @type {const} */ ({ name: 'together', ...TOGETHER });
    const { alone, together } = await this.programs.engine.run(job, this.signal);
    const name = `${TOGETHER.answers} answers after ${TOGETHER.depth} positions`;
    for (const [program, rate] of /** @type {const} */ ([
      [OURS, together],
      [ALONE, alone],
    ])) {
      this.#add({ section: 'together', name, unit: 'tokens/s', better: 'more' }, program, rate);
    }
  }

  /** @typedef {import('./results.mjs').Quantity} Quantity */

  /** @returns {Quantity} */
  #tile() {
    const limit = (/** @type {import('./machine-peaks.mjs').Peak[]} */ peaks) =>
      this.programs.weights.tileLimit(peaks);
    return { section: 'vision', name: 'tile in the tower', unit: 'ms', better: 'less', limit };
  }

  /** @returns {Quantity} */
  #resampledTile() {
    return { section: 'vision', name: 'tile in the resampler', unit: 'ms', better: 'less' };
  }

  /** @returns {Quantity} */
  #wholeTile() {
    return { section: 'vision', name: 'tile in both', unit: 'ms', better: 'less' };
  }

  /** @returns {Quantity} */
  #firstToken() {
    return { section: 'first-token', name: 'first token after a photograph', unit: 'ms', better: 'less' };
  }

  /** @param {number} length @returns {Quantity} */
  #prefill(length) {
    const limit = (/** @type {import('./machine-peaks.mjs').Peak[]} */ peaks) =>
      this.programs.weights.prefillLimit(peaks);
    return { section: 'prefill', name: `prompt of ${length}`, unit: 'tokens/s', better: 'more', limit };
  }

  /** @param {number} depth @returns {Quantity} */
  #decode(depth) {
    const limit = (/** @type {import('./machine-peaks.mjs').Peak[]} */ peaks) =>
      this.programs.weights.decodeLimit(peaks, depth + TOKENS / 2, this.#kvType);
    return { section: 'decode', name: `after ${depth} positions`, unit: 'tokens/s', better: 'more', limit };
  }

  /**
   * What was measured beside what was asked for is left out.
   * @param {Quantity} quantity @param {string} program @param {number | null} value
   */
  #add(quantity, program, value) {
    if (this.options.sections.includes(quantity.section)) {
      this.results.add(quantity, program, value ?? Number.NaN);
    }
  }
}
