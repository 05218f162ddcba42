import { formatTable } from '../../dist/cli/table.js';
import { OURS } from './results.mjs';

/**
 * The results for people: a row for each program.
 * @param {import('./results.mjs').Result[]} results
 */
export function resultLines(results) {
  const rows = results.flatMap((result, index) => [
    ...(result.section === results[index - 1]?.section ? [] : [[], [result.section]]),
    ...result.programs.map((program) => rowOf(result, program)),
  ]);
  return [
    ...formatTable([
      [
        '',
        'unit',
        'least',
        'median',
        'most',
        'of limit',
        `${OURS} is times as fast: least`,
        'median',
        'most',
      ],
      ...rows,
    ]),
    '',
    'Limits: the matrix products alone at the int8, bf16 or f32 peak for tiles and prompts, reading all weights, keys and values once',
    'for each token of an answer. Absolute figures are those of this machine; ratios are of runs that took turns.',
  ];
}

/**
 * @param {import('./results.mjs').Result} result
 * @param {import('./results.mjs').ProgramResult} program
 */
function rowOf({ name, unit, programs }, { name: program, least, median, most, ofLimit, ratio }) {
  const first = program === programs[0].name;
  return [
    first ? `  ${name}` : `    ${program}`,
    unit,
    ...[least, median, most].map(number),
    ofLimit === undefined || Number.isNaN(ofLimit) ? '' : `${(100 * ofLimit).toFixed(0)} %`,
    ...(ratio === undefined ? ['', '', ''] : [ratio.least, ratio.median, ratio.most].map(number)),
  ];
}

/** @param {number} value */
function number(value) {
  if (!Number.isFinite(value)) return 'not available';
  return value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : 2);
}
