import sharp from 'sharp';
import { describe, expect, test } from 'vitest';
import type { Comparison } from '../../lib/compare/compare.js';
import type { CurvePoint } from '../../lib/compare/divergence.js';
import { plotComparison } from '../../lib/compare/plot.js';
import { linearTicks, logarithmicRange, logarithmicTicks } from '../../lib/compare/ticks.js';

const DIVERGENCE = { positions: 1, mean: 0, median: 0, percentile99: 0, sameTop: 1 };

function comparison(changes: Partial<Comparison> = {}): Comparison {
  return {
    files: { a: { path: '/models/a.gguf', bytes: 2 }, b: { path: '/models/b.gguf', bytes: 1 } },
    divergence: { all: DIVERGENCE },
    layers: [0, 0.01, 0.02],
    curves: { texts: curve(1e-4), pictures: [] },
    ...changes,
  };
}

function curve(median: number, length = 20): CurvePoint[] {
  return Array.from({ length }, (_, i) => ({
    position: i,
    low: median / 10,
    median,
    high: median * (1 + i),
  }));
}

/** Parsed by libxml2 in sharp's SVG reader, which refuses what is not well-formed. */
async function expectSound(svg: string): Promise<void> {
  expect(svg).not.toMatch(/NaN|Infinity|undefined/);
  const { data, info } = await sharp(Buffer.from(svg)).raw().toBuffer({ resolveWithObject: true });
  expect([info.width, info.height]).toEqual([760, 640]);
  // Opaque: as legible on a dark page as on a light one.
  expect((await sharp(data, { raw: info }).stats()).isOpaque).toBe(true);
}

describe('the plot', () => {
  test.each<[string, Partial<Comparison>]>([
    ['of texts', {}],
    ['of pictures', { curves: { texts: [], pictures: curve(0.5) } }],
    ['of both', { curves: { texts: curve(1e-7), pictures: curve(3, 64) } }],
    ['of equal files', { layers: [0, 0, 0], curves: { texts: curve(0), pictures: curve(0) } }],
    ['of one position', { curves: { texts: curve(0.1, 1), pictures: [] } }],
    [
      'of many decades',
      { curves: { texts: [...curve(0, 3), ...curve(1e-14, 3), ...curve(20, 3)], pictures: [] } },
    ],
    ['of many layers', { layers: Array.from({ length: 200 }, (_, i) => i / 100) }],
    ['of tiny errors', { layers: [1e-12, 3e-12] }],
  ])('%s is well-formed and opaque', async (_, changes) => {
    await expectSound(plotComparison(comparison(changes)));
  });

  test('has titles, units and a legend for what it shows', () => {
    const svg = plotComparison(comparison({ curves: { texts: curve(1), pictures: curve(1) } }));
    for (const text of [
      'b.gguf against a.gguf',
      'KL divergence (nats)',
      'position in the passage',
      'relative L2 error (%)',
      '>texts<',
      '>pictures and what follows them<',
    ]) {
      expect(svg).toContain(text);
    }
    expect(plotComparison(comparison())).not.toContain('>pictures and');
  });

  test('draws a bar for each layer, as high as its error', () => {
    const svg = plotComparison(comparison({ layers: [0, 0.05, 0.1] }));
    const heights = [...svg.matchAll(/<rect x="[\d.]+" y="[\d.]+" width="40" height="([\d.]+)"/g)].map(
      ([, height]) => Number(height),
    );
    expect(heights).toEqual([0, 100, 200]);
  });

  test('a name cannot break out of it', async () => {
    const path = 'models/<script>&"\u0007\ud800\uffff.gguf';
    const svg = plotComparison(comparison({ files: { a: { path, bytes: 1 }, b: { path, bytes: 1 } } }));
    expect(svg).toContain('&lt;script&gt;&amp;"\ufffd\ufffd\ufffd.gguf');
    await expectSound(svg);
  });
});

describe('ticks', () => {
  const labels = (ticks: { label: string }[]) => ticks.map(({ label }) => label);

  test('of a linear axis are round and reach to its end', () => {
    expect(labels(linearTicks(0, 1))).toEqual(['0.0', '0.2', '0.4', '0.6', '0.8', '1.0']);
    expect(labels(linearTicks(0, 639))).toEqual(['0', '200', '400', '600', '800']);
    expect(linearTicks(0, 0.21).at(-1)?.label).toBe('0.25');
    expect(labels(linearTicks(0, 1))).toHaveLength(6);
  });

  test('of a logarithmic axis are powers of ten around what there is', () => {
    const { low, high } = logarithmicRange([0, 0.02, 3]);
    expect([low, high]).toEqual([0.01, 10]);
    expect(labels(logarithmicTicks(low, high))).toEqual(['0.01', '0.1', '1', '10']);
    expect(labels(logarithmicTicks(1e-4, 1e-3))).toEqual(['1e-4', '1e-3']);
  });

  test('a logarithmic axis has one to eight decades', () => {
    expect(logarithmicRange([1e-30, 1])).toEqual({ low: 1e-8, high: 1 });
    expect(logarithmicRange([0.001])).toEqual({ low: 1e-4, high: 1e-3 });
    expect(logarithmicRange([])).toEqual({ low: 1e-8, high: 1 });
  });
});
