/**
 * The middles of equally likely intervals of the normal distribution.
 * @param {number} count
 */
export function normalQuantiles(count) {
  const step = 1e-4;
  const result = new Float32Array(count);
  let filled = 0;
  let probability = 0;
  for (let x = -6; filled < count; x += step) {
    probability += (step * Math.exp((-x * x) / 2)) / Math.sqrt(2 * Math.PI);
    while (filled < count && probability >= (filled + 0.5) / count) result[filled++] = x;
  }
  return result;
}
