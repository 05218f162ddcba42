import { InvalidArgumentError } from 'commander';
import type { Rule } from '../options.js';

/** A parser for the value of a flag that must be a number and obey a rule of the API. */
export function numberThat({ expected, accepts }: Rule<number>): (value: string) => number {
  return (value) => {
    const number = value.trim() === '' ? Number.NaN : Number(value);
    if (!accepts(number)) throw new InvalidArgumentError(`Expected ${expected}.`);
    return number;
  };
}

/** A parser for the value of a flag that names one of these, in capital or small letters. */
export function anyOf<T extends string>(names: readonly T[]): (value: string) => T {
  return (value) => {
    const found = names.find((name) => name === value.toLowerCase());
    if (found === undefined) throw new InvalidArgumentError(`Allowed choices are ${names.join(', ')}.`);
    return found;
  };
}

/** A parser for the value of a flag that may be given several times. */
export function collect(value: string, values: string[] = []): string[] {
  return [...values, value];
}
