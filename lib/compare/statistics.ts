/** What two models say at one position. */
export interface Agreement {
  /** KL(P_a || P_b) in nats, at least 0. */
  divergence: number;
  /** Whether both find the same token likeliest; of equally likely ones the first counts. */
  sameTop: boolean;
}

/**
 * Compares the distributions after softmax of two rows of logits of the same length. All sums are in f64 and no probability is taken the
 * logarithm of, so nothing overflows and nothing is lost where a probability is tiny. Rows of equal values give exactly 0.
 */
export function compareRows(a: Float32Array, b: Float32Array): Agreement {
  const [first, second] = [softmaxOf(a), softmaxOf(b)];
  let divergence = 0;
  for (let i = 0; i < a.length; i++) {
    const logA = logOf(a, i, first);
    divergence += Math.exp(logA) * (logA - logOf(b, i, second));
  }
  // It cannot be negative; rounding can make it so.
  return { divergence: Math.max(divergence, 0), sameTop: first.top === second.top };
}

/** The natural logarithm of what `row` gives `token` after softmax. */
export function logProbability(row: Float32Array, token: number): number {
  return logOf(row, token, softmaxOf(row));
}

/** Index of the first value of `values` that is NaN or infinite; -1: none. */
export function indexOfNonFinite(values: Float32Array): number {
  // Each of them makes the sum non-finite, and finite f32 values cannot.
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i] as number;
  return Number.isFinite(sum) ? -1 : values.findIndex((value) => !Number.isFinite(value));
}

/** What a row's logits become probabilities with. */
interface Softmax {
  /** Index of the largest logit. */
  top: number;
  maximum: number;
  /** Of the sum of e^(logit - maximum). */
  logSum: number;
}

function softmaxOf(row: Float32Array): Softmax {
  let top = 0;
  for (let i = 1; i < row.length; i++) if ((row[i] as number) > (row[top] as number)) top = i;
  const maximum = row[top] as number;
  let sum = 0;
  for (let i = 0; i < row.length; i++) sum += Math.exp((row[i] as number) - maximum);
  return { top, maximum, logSum: Math.log(sum) };
}

function logOf(row: Float32Array, i: number, { maximum, logSum }: Softmax): number {
  // The maximum first: next to a large one the sum would be lost.
  return (row[i] as number) - maximum - logSum;
}

/**
 * The value below which the fraction `q` (0 to 1) of `sorted` lies, interpolated between its neighbours; NaN if there are none.
 * `sorted` rises.
 */
export function quantile(sorted: ArrayLike<number>, q: number): number {
  if (sorted.length === 0) return Number.NaN;
  const place = q * (sorted.length - 1);
  const low = Math.floor(place);
  const below = sorted[low] as number;
  const above = sorted[Math.min(low + 1, sorted.length - 1)] as number;
  return below + (place - low) * (above - below);
}

/** How far vectors are from those that they should be: sums over any number of pairs. */
export class VectorError {
  #difference = 0;
  #reference = 0;

  /** `reference` and `received` have the same length. */
  add(reference: Float32Array, received: Float32Array): void {
    for (let i = 0; i < reference.length; i++) {
      const value = reference[i] as number;
      this.#difference += ((received[i] as number) - value) ** 2;
      this.#reference += value ** 2;
    }
  }

  /** Relative L2 error: the length of all differences over the length of all references; 1 if something is where nothing should be. */
  get relative(): number {
    if (this.#reference === 0) return this.#difference === 0 ? 0 : 1;
    return Math.sqrt(this.#difference / this.#reference);
  }
}

/** Cosine of the angle between two vectors: exactly 1 for equal ones, 0 if just one of them is zero. */
export function cosine(a: Float32Array, b: Float32Array): number {
  let [dot, squareA, squareB] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [a[i] as number, b[i] as number];
    dot += x * y;
    squareA += x * x;
    squareB += y * y;
  }
  if (squareA === 0 || squareB === 0) return squareA === squareB ? 1 : 0;
  // One root of the product: the square root of a square is exact.
  return Math.max(-1, Math.min(1, dot / Math.sqrt(squareA * squareB)));
}
