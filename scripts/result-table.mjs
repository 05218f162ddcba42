/**
 * @typedef {{ name: string, value: number, unit: string, limit?: number, ok?: boolean, detail?: string }} Result
 */

/** Measured figures and their bounds, printed on stderr as they come. */
export class ResultTable {
  /** @type {Result[]} */
  results = [];

  /** @param {string} title */
  constructor(title) {
    this.print(title);
    this.print(`${''.padEnd(58)}${'measured'.padStart(12)}${'bound'.padStart(12)}`);
  }

  get missed() {
    return this.results.filter(({ ok }) => ok === false).length;
  }

  /**
   * @param {string} name
   * @param {number} value NaN, which misses every bound: it could not be measured.
   * @param {string} unit
   * @param {number} [limit] What it may be at most; without: only told.
   * @param {string} [detail]
   */
  add(name, value, unit, limit, detail) {
    const ok = limit === undefined ? undefined : value <= limit;
    this.results.push({ name, value, unit, limit, ok, detail });
    const show = (/** @type {number | undefined} */ number) => {
      if (number === undefined) return ''.padStart(12);
      if (number > 0 && number < 0.01) return `${number.toExponential(1)} ${unit}`.padStart(12);
      return `${number.toFixed(unit === 'ms' && number < 100 ? 1 : 0)} ${unit}`.padStart(12);
    };
    const verdict = ok === undefined ? '' : ok ? 'ok' : 'MISSED';
    this.print(
      `  ${name.padEnd(56)}${show(value)}${show(limit)}  ${verdict.padEnd(8)}${detail ?? ''}`.trimEnd(),
    );
  }

  /** @param {string} line */
  print(line) {
    process.stderr.write(`${line}\n`);
  }
}
