/**
 * Conversions between f32 and the two 16-bit formats, on the bits: `u32` holds f32 bit patterns, `u16` f16 or bf16 ones.
 * Widening is exact; narrowing rounds to nearest, ties to even, and returns the index of the first finite value that
 * would become infinite, or -1. Callers make sure that nothing narrowed is NaN or infinite.
 */

export function widenBf16(u16: Uint16Array, u32: Uint32Array): void {
  for (let i = 0; i < u16.length; i++) u32[i] = (u16[i] as number) << 16;
}

export function widenF16(u16: Uint16Array, u32: Uint32Array): void {
  widened ??= new Uint32Array(2 ** 16).map((_, half) => widenHalf(half));
  for (let i = 0; i < u16.length; i++) u32[i] = widened[u16[i] as number] as number;
}

export function narrowToBf16(u32: Uint32Array, u16: Uint16Array): number {
  for (let i = 0; i < u32.length; i++) {
    const bits = u32[i] as number;
    const rounded = (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
    if ((rounded & 0x7f80) === 0x7f80) return i;
    u16[i] = rounded;
  }
  return -1;
}

export function narrowToF16(u32: Uint32Array, u16: Uint16Array): number {
  for (let i = 0; i < u32.length; i++) {
    const bits = u32[i] as number;
    const sign = (bits >>> 16) & 0x8000;
    const magnitude = bits & 0x7fffffff;
    if (magnitude >= F16_OVERFLOW) return i;
    u16[i] =
      magnitude >= F16_SMALLEST_NORMAL
        ? sign | ((magnitude - EXPONENT_SHIFT + 0xfff + ((magnitude >>> 13) & 1)) >>> 13)
        : sign | roundToSubnormal(magnitude);
  }
  return -1;
}

/** 65520: halfway between the largest f16 and the next power of two. */
const F16_OVERFLOW = 0x477ff000;
/** 2^-14. */
const F16_SMALLEST_NORMAL = 0x38800000;
/** Difference of the exponents' biases, 127 - 15, in place. */
const EXPONENT_SHIFT = 112 << 23;

let widened: Uint32Array | undefined;

/** A magnitude below 2^-14 as a multiple of 2^-24. */
function roundToSubnormal(magnitude: number): number {
  const exponent = magnitude >>> 23;
  // Below 2^-25, half a unit.
  if (exponent < 102) return 0;
  const mantissa = (magnitude & 0x7fffff) | 0x800000;
  const shift = 126 - exponent;
  const units = mantissa >>> shift;
  const rest = mantissa & ((1 << shift) - 1);
  const half = 1 << (shift - 1);
  return rest > half || (rest === half && (units & 1) === 1) ? units + 1 : units;
}

function widenHalf(half: number): number {
  const sign = (half & 0x8000) << 16;
  const exponent = (half >>> 10) & 0x1f;
  let mantissa = half & 0x3ff;
  if (exponent === 0x1f) return sign | 0x7f800000 | (mantissa << 13);
  if (exponent > 0) return sign | ((exponent + 112) << 23) | (mantissa << 13);
  if (mantissa === 0) return sign;
  let scale = 113;
  for (; (mantissa & 0x400) === 0; mantissa <<= 1) scale--;
  return sign | (scale << 23) | ((mantissa & 0x3ff) << 13);
}
