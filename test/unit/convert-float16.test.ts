import { describe, expect, test } from 'vitest';
import { narrowToBf16, narrowToF16, widenBf16, widenF16 } from '../../lib/convert/float16.js';

const bitsOf = (values: number[]) => new Uint32Array(Float32Array.from(values).buffer);
const valuesOf = (bits: Uint32Array) => new Float32Array(bits.slice().buffer);

/** The value of a finite f16, by the definition of the format. */
function valueOfHalf(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 31;
  const mantissa = half & 1023;
  return sign * (exponent === 0 ? mantissa * 2 ** -24 : (1024 + mantissa) * 2 ** (exponent - 25));
}

/** Nearest multiple of the unit in the last place, ties to even; `digits` significant bits, units of at least `smallest`. */
function round(value: number, digits: number, smallest: number): number {
  if (value === 0) return value;
  let exponent = Math.floor(Math.log2(Math.abs(value)));
  if (2 ** exponent > Math.abs(value)) exponent--;
  if (2 ** (exponent + 1) <= Math.abs(value)) exponent++;
  const unit = Math.max(2 ** (exponent - digits + 1), smallest);
  const scaled = value / unit;
  const floor = Math.floor(scaled);
  const rest = scaled - floor;
  const up = rest > 0.5 || (rest === 0.5 && floor % 2 !== 0);
  return (up ? floor + 1 : floor) * unit;
}

/** Every exponent that f16 rounds or keeps, with mantissas around ties, both signs. */
function samples(fromExponent: number, toExponent: number): number[] {
  const values = [0, -0];
  for (let exponent = fromExponent; exponent <= toExponent; exponent++) {
    for (let step = 0; step < 512; step++) {
      for (const nudge of [-(2 ** -23), 0, 2 ** -23]) {
        const value = Math.fround((1 + step / 512 + nudge) * 2 ** exponent);
        values.push(value, -value);
        const tie = Math.fround((1 + (2 * step + 1) / 2048 + nudge) * 2 ** exponent);
        values.push(tie, -tie);
      }
    }
  }
  return values;
}

const allHalves = Uint16Array.from({ length: 2 ** 16 }, (_, half) => half);
const finiteHalves = allHalves.filter((half) => (half & 0x7c00) !== 0x7c00);

describe('f16', () => {
  test('widens every value exactly', () => {
    const bits = new Uint32Array(2 ** 16);
    widenF16(allHalves, bits);
    const values = valuesOf(bits);
    for (const half of finiteHalves) {
      if (!Object.is(values[half], valueOfHalf(half)))
        expect(values[half], `half ${half}`).toBe(valueOfHalf(half));
    }
    expect([values[0x7c00], values[0xfc00], values[0x7e00]]).toEqual([Infinity, -Infinity, NaN]);
  });

  test('comes back from f32 unchanged', () => {
    const bits = new Uint32Array(finiteHalves.length);
    widenF16(finiteHalves, bits);
    const halves = new Uint16Array(finiteHalves.length);
    expect(narrowToF16(bits, halves)).toBe(-1);
    expect(Buffer.from(halves.buffer).equals(Buffer.from(finiteHalves.buffer))).toBe(true);
  });

  test('rounds to nearest, ties to even, down to the subnormals', () => {
    const values = samples(-28, 14);
    const halves = new Uint16Array(values.length);
    expect(narrowToF16(bitsOf(values), halves)).toBe(-1);
    values.forEach((value, i) => {
      const expected = round(value, 11, 2 ** -24);
      const received = valueOfHalf(halves[i] as number);
      if (received !== expected) expect(received, `rounding ${value}`).toBe(expected);
    });
  });

  test('refuses what would become infinite, and nothing below', () => {
    const largest = Math.fround(65520 - 2 ** -8);
    const halves = new Uint16Array(2);
    expect(narrowToF16(bitsOf([largest, -largest]), halves)).toBe(-1);
    expect([...halves].map(valueOfHalf)).toEqual([65504, -65504]);
    expect(narrowToF16(bitsOf([1, 65520]), halves)).toBe(1);
    expect(narrowToF16(bitsOf([-65520, 1]), halves)).toBe(0);
  });
});

describe('bf16', () => {
  test('widens to the upper half of an f32 and comes back unchanged', () => {
    const finite = allHalves.filter((half) => (half & 0x7f80) !== 0x7f80);
    const bits = new Uint32Array(finite.length);
    widenBf16(finite, bits);
    expect(bits.every((value, i) => value === (finite[i] as number) * 65536)).toBe(true);
    const back = new Uint16Array(finite.length);
    expect(narrowToBf16(bits, back)).toBe(-1);
    expect(Buffer.from(back.buffer).equals(Buffer.from(finite.buffer))).toBe(true);
  });

  test('rounds to nearest, ties to even', () => {
    const values = [...samples(-126, -120), ...samples(-3, 3), ...samples(100, 104)];
    const halves = new Uint16Array(values.length);
    expect(narrowToBf16(bitsOf(values), halves)).toBe(-1);
    const bits = new Uint32Array(values.length);
    widenBf16(halves, bits);
    valuesOf(bits).forEach((received, i) => {
      const expected = round(values[i] as number, 8, 2 ** -133);
      if (received !== expected) expect(received, `rounding ${values[i]}`).toBe(expected);
    });
  });

  test('refuses what would become infinite', () => {
    const largest = valuesOf(Uint32Array.of(0x7f7f7fff))[0] as number;
    const beyond = valuesOf(Uint32Array.of(0x7f7f8000))[0] as number;
    const halves = new Uint16Array(1);
    expect(narrowToBf16(bitsOf([largest]), halves)).toBe(-1);
    expect(halves[0]).toBe(0x7f7f);
    expect(narrowToBf16(bitsOf([beyond]), halves)).toBe(0);
  });
});
