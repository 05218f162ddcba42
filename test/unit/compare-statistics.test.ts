import { describe, expect, test } from 'vitest';
import { DivergenceTally } from '../../lib/compare/divergence.js';
import { EmbeddingTally } from '../../lib/compare/embedding-tally.js';
import {
  compareRows,
  cosine,
  indexOfNonFinite,
  logProbability,
  quantile,
  VectorError,
} from '../../lib/compare/statistics.js';

const row = (...values: number[]) => Float32Array.from(values);

describe('two rows of logits', () => {
  // Probabilities 1/2, 1/2 against 1/4, 3/4.
  const [a, b] = [row(0, 0), row(0, Math.log(3))];

  test('KL divergence is that of the definition, and not symmetric', () => {
    expect(compareRows(a, b).divergence).toBeCloseTo(Math.log(2) / 2 + Math.log(2 / 3) / 2, 7);
    expect(compareRows(b, a).divergence).toBeCloseTo(Math.log(1 / 2) / 4 + (3 * Math.log(3 / 2)) / 4, 7);
  });

  test('a constant changes nothing, however large', () => {
    const lifted = row(1e6, 1e6 + 0.5, 1e6 - 2);
    const expected = compareRows(row(0, 0.5, -2), row(0, 0, 0));
    expect(compareRows(lifted, row(-3e38, -3e38, -3e38)).divergence).toBeCloseTo(expected.divergence, 12);
  });

  test('what one of them rules out counts as far as its logits say', () => {
    // P_a = (1, e^-2000), P_b = (e^-2000, 1): e^-2000 is 0 in f64.
    expect(compareRows(row(1000, -1000), row(-1000, 1000)).divergence).toBe(2000);
    expect(compareRows(row(1000, -1000), row(1000, -3000)).divergence).toBe(0);
  });

  test('equal rows are exactly 0 apart', () => {
    const values = Float32Array.from({ length: 1000 }, (_, i) => Math.sin(i * i) * 20);
    expect(compareRows(values, values.slice())).toEqual({ divergence: 0, sameTop: true });
  });

  test('never below 0, where rounding would make it so', () => {
    const values = Float32Array.from({ length: 32_000 }, (_, i) => Math.cos(i) * 8);
    for (let i = 0; i < 50; i++) {
      const other = values.slice();
      other[i] = (other[i] as number) * (1 + 2 ** -23);
      expect(compareRows(values, other).divergence).toBeGreaterThanOrEqual(0);
    }
  });

  test('the top token is the first of the likeliest', () => {
    expect(compareRows(row(1, 3, 3), row(0, 5, 4)).sameTop).toBe(true);
    expect(compareRows(row(1, 3, 3), row(0, 4, 5)).sameTop).toBe(false);
  });

  test('log-probabilities', () => {
    expect(logProbability(b, 1)).toBeCloseTo(Math.log(3 / 4), 7);
    expect(logProbability(row(500, -500), 1)).toBe(-1000);
  });
});

test('values that are not finite are found', () => {
  expect(indexOfNonFinite(row(3e38, 3e38, -1))).toBe(-1);
  expect(indexOfNonFinite(row(1, Number.NaN, 2))).toBe(1);
  expect(indexOfNonFinite(row(1, 2, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY))).toBe(2);
});

test('quantiles lie between their neighbours', () => {
  expect(quantile([1, 2, 4, 8], 0)).toBe(1);
  expect(quantile([1, 2, 4, 8], 0.5)).toBe(3);
  expect(quantile([1, 2, 4, 8], 1)).toBe(8);
  expect(quantile([0, 100], 0.99)).toBeCloseTo(99, 12);
  expect(quantile([7], 0.99)).toBe(7);
  expect(quantile([], 0.5)).toBeNaN();
});

describe('vectors', () => {
  test('the relative error is over everything that was added', () => {
    const error = new VectorError();
    expect(error.relative).toBe(0);
    error.add(row(3, 0), row(3, 1));
    error.add(row(0, 4), row(2, 2));
    // Differences 0 1 2 -2 against 3 0 0 4.
    expect(error.relative).toBe(3 / 5);
  });

  test('an error where nothing should be is a whole one', () => {
    const error = new VectorError();
    error.add(row(0, 0), row(0, 5));
    expect(error.relative).toBe(1);
  });

  test('cosine', () => {
    expect(cosine(row(1, 0), row(1, 1))).toBeCloseTo(Math.SQRT1_2, 15);
    expect(cosine(row(1, 2), row(-2, -4))).toBe(-1);
    expect(cosine(row(0, 0), row(0, 0))).toBe(1);
    expect(cosine(row(0, 0), row(1, 0))).toBe(0);
    const values = Float32Array.from({ length: 777 }, (_, i) => Math.sin(i) * 1e-20);
    expect(cosine(values, values.slice())).toBe(1);
  });

  test('embeddings are compared row by row', () => {
    const tally = new EmbeddingTally();
    expect(tally.result()).toBeUndefined();
    tally.add(row(1, 0, 0, 1), row(1, 0, 1, 0), 2);
    tally.add(row(2, 2), row(2, 2), 2);
    expect(tally.result()).toEqual({
      pictures: 2,
      rows: 3,
      meanCosine: 2 / 3,
      minCosine: 0,
      minPictureCosine: expect.closeTo(0.5, 15),
      relativeError: Math.sqrt(2 / 10),
    });
  });
});

describe('divergences of many positions', () => {
  const tally = new DivergenceTally();
  const other = new DivergenceTally();
  tally.add(0, { divergence: 4, sameTop: false });
  tally.add(1, { divergence: 1, sameTop: true });
  other.add(0, { divergence: 2, sameTop: true });
  other.add(1, { divergence: 9, sameTop: true });

  test('are summarised together', () => {
    expect(DivergenceTally.summarise(tally, other)).toEqual({
      positions: 4,
      mean: 4,
      median: 3,
      percentile99: expect.closeTo(4 + 0.97 * 5, 12),
      sameTop: 0.75,
    });
    expect(DivergenceTally.summarise(tally)).toMatchObject({ positions: 2, mean: 2.5, sameTop: 0.5 });
    expect(DivergenceTally.summarise(new DivergenceTally())).toBeUndefined();
  });

  test('are a curve over the positions', () => {
    expect(tally.curve()).toEqual([
      { position: 0, low: 4, median: 4, high: 4 },
      { position: 1, low: 1, median: 1, high: 1 },
    ]);
    expect(new DivergenceTally().curve()).toEqual([]);
  });

  test('neighbours share a point of a long curve', () => {
    const long = new DivergenceTally();
    for (let i = 0; i < 640; i++) long.add(i, { divergence: i, sameTop: true });
    const curve = long.curve();
    expect(curve).toHaveLength(64);
    expect(curve[0]).toEqual({ position: 4.5, low: expect.closeTo(0.9, 12), median: 4.5, high: 8.1 });
    expect(curve[63]?.position).toBe(634.5);
  });
});
