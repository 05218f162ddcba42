import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadAddon } from '../../lib/addon.js';
import { type Comparison, compare } from '../../lib/compare/compare.js';
import { convert } from '../../lib/convert/convert.js';
import { readImportance } from '../../lib/convert/importance-file.js';
import type { TextType, VisionType } from '../../lib/convert/mixture.js';
import { quantize } from '../../lib/convert/quantize.js';
import { collectImportance } from '../../lib/samples/collect-importance.js';
import { dequantize } from '../dequantize.js';
import { fixture, modelFile, root } from '../files.js';
import { GgufFile } from '../gguf-file.js';

const CHECKPOINTS = { tiny: fixture('tiny'), wide: join(root, 'build', 'fixtures', 'wide-src', 'wide') };
const QUIET = {
  threads: 1,
  onProgress: () => {},
  onNote: () => {},
  signal: new AbortController().signal,
};

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'xgen-mm-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A checkpoint in these types against its f32 file. */
async function judge(
  model: keyof typeof CHECKPOINTS,
  type: TextType,
  vision: VisionType,
): Promise<Comparison> {
  const path = join(folder, `${model}-${type}-${vision}.gguf`);
  await convert(CHECKPOINTS[model], path, { type, vision, variant: 'instruct-interleave' });
  return compare(loadAddon(), modelFile(`${model}-f32`), path, QUIET);
}

describe('pictures', () => {
  test.each(['tiny', 'wide'] as const)(
    '%s with its vision part in q8_0 sees what f32 sees',
    async (model) => {
      const { embeddings } = await judge(model, 'f32', 'q8_0');
      expect(embeddings?.pictures).toBe(3);
      expect(embeddings?.minPictureCosine).toBeGreaterThanOrEqual(0.999);
      expect(embeddings?.meanCosine).toBeGreaterThanOrEqual(0.999);
      // It is not f32 after all.
      expect(embeddings?.minPictureCosine).toBeLessThan(1);
    },
  );

  test('fewer bits see less', async () => {
    const least: number[] = [];
    for (const type of ['f16', 'q8_0', 'q4_0'] as const) {
      least.push((await judge('wide', 'f32', type)).embeddings?.minPictureCosine as number);
    }
    expect(least).toEqual(least.toSorted().reverse());
    expect(new Set(least).size).toBe(3);
  });
});

test('fewer bits are farther from f32', async () => {
  const means: number[] = [];
  for (const type of ['f16', 'q8_0', 'q6_k', 'q5_k_m', 'q4_k_m', 'q4_0'] as const) {
    const { divergence } = await judge('wide', type, 'f32');
    means.push(divergence.texts?.mean as number);
  }
  expect(means).toEqual(means.toSorted((a, b) => a - b));
  expect(new Set(means).size).toBe(6);
}, 180_000);

describe('an importance matrix of the model itself', () => {
  const reference = modelFile('wide-f32');
  let imatrix: string;
  let importance: Map<string, Float32Array>;
  beforeAll(async () => {
    imatrix = join(folder, 'wide.imatrix');
    await collectImportance(loadAddon(), reference, imatrix, QUIET);
    importance = await readImportance(imatrix);
  });

  test.each([
    ['iq4_nl', 'iq4_nl', 20],
    ['q4_k_m', 'q4_K', 12],
  ] as const)(
    'makes the error of %s smaller where it counts',
    async (type, stored, number) => {
      const [plain, guided] = [join(folder, `${type}-plain.gguf`), join(folder, `${type}-guided.gguf`)];
      await quantize(reference, plain, { type, vision: 'q8_0' });
      await quantize(reference, guided, { type, vision: 'q8_0', imatrix });
      const [original, first, second] = [reference, plain, guided].map((path) => GgufFile.read(path)) as [
        GgufFile,
        GgufFile,
        GgufFile,
      ];
      let compared = 0;
      for (const { name, type } of second.tensors) {
        const columns = importance.get(name);
        if (columns === undefined || type !== number) continue;
        const { data } = original.tensor(name);
        const weights = new Float32Array(new Uint8Array(data).buffer);
        const error = (file: GgufFile) => {
          const { shape, data } = file.tensor(name);
          const values = dequantize(stored, data).subarray(
            0,
            shape.reduce((size, side) => size * side, 1),
          );
          return values.reduce(
            (sum, value, i) =>
              sum + (columns[i % columns.length] as number) * (value - (weights[i] as number)) ** 2,
            0,
          );
        };
        expect(error(second), name).toBeLessThan(error(first));
        compared++;
      }
      expect(compared).toBeGreaterThanOrEqual(4);
      const [before, after] = [
        await compare(loadAddon(), reference, plain, QUIET),
        await compare(loadAddon(), reference, guided, QUIET),
      ];
      // Of random weights a smaller error need not give closer distributions, but no worse ones to speak of.
      expect(after.divergence.all.mean).toBeLessThan(1.1 * before.divergence.all.mean);
    },
    120_000,
  );
});
