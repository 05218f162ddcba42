import type { Comparison } from '../compare/compare.js';
import type { Divergence } from '../compare/divergence.js';
import { formatBytes } from '../quantity.js';
import { formatTable } from './table.js';
import { visible } from './visible.js';

/** A comparison as lines for people. */
export function describeComparison(comparison: Comparison): string[] {
  const { files, perplexity, embeddings, layers } = comparison;
  const size = `${formatBytes(files.b.bytes)}, ${percent(files.b.bytes / files.a.bytes, 1)} of a`;
  const rows = [
    ['', 'a', 'b'],
    ['size', formatBytes(files.a.bytes), size],
  ];
  if (perplexity !== undefined) {
    rows.push([
      `perplexity, ${count(perplexity.tokens, 'token')}`,
      number(perplexity.a),
      number(perplexity.b),
    ]);
  }
  return [
    `a  ${visible(files.a.path)}`,
    `b  ${visible(files.b.path)}`,
    '',
    ...formatTable(rows),
    '',
    ...describeDivergence(comparison.divergence),
    ...(embeddings === undefined
      ? []
      : [
          '',
          ...formatTable([
            ['embeddings of pictures', 'mean cosine', 'least picture', 'least row', 'relative error'],
            [
              `${count(embeddings.pictures, 'picture')}, ${count(embeddings.rows, 'row')}`,
              embeddings.meanCosine.toFixed(6),
              embeddings.minPictureCosine.toFixed(6),
              embeddings.minCosine.toFixed(6),
              percent(embeddings.relativeError, 3),
            ],
          ]),
        ]),
    '',
    'relative error after each layer, from what enters the first:',
    ...inLines(layers.map((error) => percent(error, 2))),
  ];
}

function describeDivergence({ all, texts, pictures }: Comparison['divergence']): string[] {
  const row = (name: string, { positions, mean, median, percentile99, sameTop }: Divergence) => [
    name,
    `${positions}`,
    number(mean),
    number(median),
    number(percentile99),
    percent(sameTop, 2),
  ];
  const parts =
    texts === undefined || pictures === undefined ? [] : [row('texts', texts), row('pictures', pictures)];
  return formatTable([
    ['KL divergence (nats)', 'positions', 'mean', 'median', '99 %', 'same top token'],
    row('all', all),
    ...parts,
  ]);
}

/** Five significant digits at most. */
function number(value: number): string {
  if (value !== 0 && (value < 1e-3 || value >= 1e6)) return value.toExponential(3);
  return `${Number(value.toPrecision(5))}`;
}

function percent(fraction: number, digits: number): string {
  return `${(100 * fraction).toFixed(digits)} %`;
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

/** Eight cells a line, each as wide as the widest. */
function inLines(cells: string[]): string[] {
  const width = Math.max(...cells.map((cell) => cell.length));
  const lines: string[] = [];
  for (let i = 0; i < cells.length; i += 8) {
    lines.push(
      cells
        .slice(i, i + 8)
        .map((cell) => cell.padStart(width))
        .join('  '),
    );
  }
  return lines;
}
