/** A value that an axis names. */
export interface Tick {
  value: number;
  label: string;
}

/** Decades that a logarithmic axis shows at most: what is smaller still makes no difference. */
const MAX_DECADES = 8;

/** Round values from `low` to the first that is not below `high`, four to eight of them. */
export function linearTicks(low: number, high: number): Tick[] {
  const rough = (high - low) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10) * power;
  const count = Math.ceil((high - low) / step - 1e-9);
  const digits = Math.max(0, -Math.floor(Math.log10(step)));
  return Array.from({ length: count + 1 }, (_, i) => {
    const value = low + i * step;
    return { value, label: digits > 6 ? value.toExponential(1) : value.toFixed(digits) };
  });
}

/** Powers of ten around the positive ones of `values`: at least one decade and at most eight. */
export function logarithmicRange(values: readonly number[]): { low: number; high: number } {
  const exponents = values.filter((value) => value > 0).map(Math.log10);
  if (exponents.length === 0) return { low: 1e-8, high: 1 };
  const high = Math.ceil(Math.max(...exponents));
  const low = Math.max(high - MAX_DECADES, Math.min(high - 1, Math.floor(Math.min(...exponents))));
  return { low: powerOfTen(low), high: powerOfTen(high) };
}

/** The powers of ten between two of them. */
export function logarithmicTicks(low: number, high: number): Tick[] {
  const [first, last] = [Math.round(Math.log10(low)), Math.round(Math.log10(high))];
  return Array.from({ length: last - first + 1 }, (_, i) => {
    const value = powerOfTen(first + i);
    return { value, label: value >= 0.01 && value <= 100 ? `${value}` : `1e${first + i}` };
  });
}

/** Correctly rounded, which `**` is not. */
function powerOfTen(exponent: number): number {
  return Number(`1e${exponent}`);
}
