import { percentile } from '../event-loop-lag.mjs';

/** The program that the others are compared with. */
export const OURS = 'xgen-mm';

/**
 * `better`: which values are good. `limit`: what the machine allows at best, from its peaks.
 * @typedef {{
 *   section: import('./arguments.mjs').Section, name: string, unit: string, better: 'less' | 'more' | 'neither',
 *   limit?: (peaks: import('./machine-peaks.mjs').Peak[]) => number,
 * }} Quantity
 * @typedef {{ least: number, median: number, most: number }} Spread
 * @typedef {Spread & { name: string, values: number[], ofLimit?: number, ratio?: Spread }} ProgramResult
 * @typedef {Omit<Quantity, 'limit'> & { limit?: number, programs: ProgramResult[] }} Result
 */

/** What was measured, round by round. */
export class Results {
  /** @type {Map<string, { quantity: Quantity, programs: Map<string, number[]> }>} */
  #rows = new Map();

  /**
   * Notes what a program reached in a round; of each at most one value in each, in order.
   * @param {Quantity} quantity Known by its section and name.
   * @param {string} program
   * @param {number} value NaN: the machine cannot tell, or cannot do that.
   */
  add(quantity, program, value) {
    const key = `${quantity.section} ${quantity.name}`;
    const row = this.#rows.get(key) ?? { quantity, programs: new Map() };
    this.#rows.set(key, row);
    const values = row.programs.get(program) ?? [];
    row.programs.set(program, [...values, value]);
  }

  /**
   * Ratios say how many times as fast as that program ours is, round by round.
   * @param {import('./machine-peaks.mjs').Peak[]} peaks
   * @returns {Result[]}
   */
  summarize(peaks) {
    return [...this.#rows.values()].map(({ quantity: { limit, ...quantity }, programs }) => {
      const bound = peaks.length === 0 ? undefined : limit?.(peaks);
      const ours = programs.get(OURS) ?? [];
      /** How good `a` is beside `b`. */
      const beside = (/** @type {number} */ a, /** @type {number} */ b) =>
        quantity.better === 'less' ? b / a : a / b;
      const list = [...programs].toSorted(([a], [b]) => Number(b === OURS) - Number(a === OURS));
      return {
        ...quantity,
        ...(bound === undefined ? {} : { limit: bound }),
        programs: list.map(([name, values]) => {
          const median = percentile(values, 0.5);
          return {
            name,
            values,
            ...spreadOf(values),
            ...(bound === undefined ? {} : { ofLimit: beside(median, bound) }),
            ...(name === OURS || ours.length === 0
              ? {}
              : { ratio: spreadOf(values.map((value, round) => beside(ours[round], value))) }),
          };
        }),
      };
    });
  }
}

/**
 * @param {number[]} values
 * @returns {Spread}
 */
export function spreadOf(values) {
  return { least: Math.min(...values), median: percentile(values, 0.5), most: Math.max(...values) };
}
