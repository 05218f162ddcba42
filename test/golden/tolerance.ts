import { expect } from 'vitest';

/** How far a stage may be from the reference: largest absolute error, and error relative to the whole (L2). */
export interface Bound {
  absolute: number;
  relative: number;
}

/** The tolerances of the fixtures; in f32 the absolute ones say everything. */
export const F32 = {
  vision: { absolute: 5e-5, relative: Number.POSITIVE_INFINITY },
  logits: { absolute: 1e-3, relative: Number.POSITIVE_INFINITY },
};
export const F16 = {
  vision: { absolute: 1e-2, relative: 2e-3 },
  logits: { absolute: 0.15, relative: 1e-2 },
};

export function expectClose(
  actual: Float32Array,
  expected: Float32Array,
  { absolute, relative }: Bound,
): void {
  expect(actual.length).toBe(expected.length);
  let largest = 0;
  let error = 0;
  let norm = 0;
  actual.forEach((value, i) => {
    const reference = expected[i] as number;
    // Unlike a comparison, Math.max keeps NaN.
    largest = Math.max(largest, Math.abs(value - reference));
    error += (value - reference) ** 2;
    norm += reference ** 2;
  });
  expect(largest).toBeLessThanOrEqual(absolute);
  expect(Math.sqrt(error / norm)).toBeLessThanOrEqual(relative);
}
