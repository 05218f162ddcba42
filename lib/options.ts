import { fileURLToPath } from 'node:url';
import { XgenmmError } from './errors.js';

/** What a value must be: a phrase for the error message and the test. */
export interface Rule<T> {
  expected: string;
  accepts(value: unknown): value is T;
}

/** One rule per option; an option without a rule does not exist. */
export type Rules<T> = { [K in keyof T]-?: Rule<NonNullable<T[K]> | Extract<T[K], null>> };

export function rule<T>(expected: string, accepts: (value: unknown) => boolean): Rule<T> {
  return { expected, accepts: accepts as (value: unknown) => value is T };
}

export function oneOf<T extends string>(...names: T[]): Rule<T> {
  return rule(names.map((name) => `'${name}'`).join(' or '), (value) => names.some((name) => name === value));
}

export const positiveInteger = rule<number>(
  'a positive integer',
  (value) => Number.isInteger(value) && (value as number) > 0 && (value as number) < 2 ** 31,
);
export function integerBetween(low: number, high: number): Rule<number> {
  return rule(
    `an integer from ${low} to ${high}`,
    (value) => Number.isInteger(value) && (value as number) >= low && (value as number) <= high,
  );
}
export const nonNegativeInteger = rule<number>(
  'an integer of at least 0',
  (value) => Number.isInteger(value) && (value as number) >= 0 && (value as number) < 2 ** 31,
);
export const finiteNumber = rule<number>('a finite number', isFiniteFloat);
export const nonNegativeNumber = rule<number>(
  'a finite number of at least 0',
  (value) => isFiniteFloat(value) && (value as number) >= 0,
);
export const positiveNumber = rule<number>(
  'a finite number above 0',
  (value) => isFiniteFloat(value) && Math.fround(value as number) > 0,
);
export const fraction = rule<number>(
  'a number from 0 to 1',
  (value) => isFiniteFloat(value) && (value as number) >= 0 && (value as number) <= 1,
);
export const positiveFraction = rule<number>(
  'a number above 0 and at most 1',
  (value) => isFiniteFloat(value) && Math.fround(value as number) > 0 && (value as number) <= 1,
);
export const boolean = rule<boolean>('a boolean', (value) => typeof value === 'boolean');
export const text = rule<string>('a string', (value) => typeof value === 'string');
/** Something for {@link filePath}. */
export const location = rule<string | URL>(
  'a path or file URL',
  (value) => typeof value === 'string' || value instanceof URL,
);
export function callback<T extends (...args: never[]) => unknown>(): Rule<T> {
  return rule('a function', (value) => typeof value === 'function');
}
export const abortSignal = rule<AbortSignal>('an AbortSignal', (value) => value instanceof AbortSignal);

/** Throws ERR_XGENMM_INVALID_ARGUMENT unless `value` obeys `rule`. */
export function check<T>(value: unknown, rule: Rule<T>, name: string): T {
  if (!rule.accepts(value)) throw invalid(name, rule.expected, value);
  return value;
}

/**
 * The options that were given, each checked against its rule and taken as it is now; `undefined` counts as absent.
 * Unknown names are refused with the nearest known one. `owner` names the function in messages.
 */
export function checkOptions<T extends object>(options: T | undefined, rules: Rules<T>, owner: string): T {
  if (options === undefined) return {} as T;
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw invalid(`the options of ${owner}`, 'an object', options);
  }
  const given: Partial<T> = {};
  for (const [name, value] of Object.entries(options)) {
    if (!Object.hasOwn(rules, name)) throw unknownOption(name, Object.keys(rules), owner);
    if (value === undefined) continue;
    const key = name as keyof T;
    const checked = check(value, rules[key] as Rule<T[keyof T]>, `${name} in ${owner}`);
    given[key] = isPlainObject(checked) ? { ...checked } : checked;
  }
  return given as T;
}

/** A path, or the path of a file URL (a URL or a string that starts with `file:`). */
export function filePath(location: unknown, name: string): string {
  const isUrl = location instanceof URL || (typeof location === 'string' && /^file:/i.test(location));
  try {
    if (isUrl) return fileURLToPath(location);
  } catch {
    throw invalid(name, 'a file URL', String(location));
  }
  if (typeof location !== 'string' || location === '' || location.includes('\0'))
    throw invalid(name, 'a path or file URL', location);
  return location;
}

export function invalid(name: string, expected: string, received: unknown): XgenmmError {
  return new XgenmmError(
    'ERR_XGENMM_INVALID_ARGUMENT',
    `Expected ${expected} for ${name}, received ${describe(received)}`,
  );
}

/** A value as an error message shows it: short, and with its type where the value alone would not say. */
export function describe(value: unknown): string {
  if (typeof value === 'string') {
    return JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}...` : value);
  }
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'function') return 'a function';
  if (typeof value !== 'object' || value === null) return String(value);
  if (Array.isArray(value)) return `an array of ${value.length}`;
  return `an object of type ${value.constructor?.name ?? 'null'}`;
}

function unknownOption(name: string, known: string[], owner: string): XgenmmError {
  const shown = name.length > 60 ? `${name.slice(0, 57)}...` : name;
  const nearest = known.toSorted((a, b) => distance(shown, a) - distance(shown, b))[0];
  const hint =
    nearest !== undefined && distance(shown, nearest) <= Math.max(2, shown.length / 3)
      ? `did you mean '${nearest}'?`
      : `it takes ${known.length === 0 ? 'none' : known.join(', ')}`;
  return new XgenmmError('ERR_XGENMM_INVALID_ARGUMENT', `Unknown option '${shown}' in ${owner}: ${hint}`);
}

/** Whether `value` is a number that stays finite in the engine's 32 bits. */
export function isFiniteFloat(value: unknown): boolean {
  return typeof value === 'number' && Number.isFinite(Math.fround(value));
}

export function isPlainObject(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  // An object from another realm has another Object.prototype, which ends its chain as well.
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** Levenshtein's edit distance, letter case ignored. */
function distance(a: string, b: string): number {
  const [from, to] = [a.toLowerCase(), b.toLowerCase()];
  let row = Array.from({ length: to.length + 1 }, (_, j) => j);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++) {
      const substitution = (row[j - 1] as number) + (from[i - 1] === to[j - 1] ? 0 : 1);
      next.push(Math.min(substitution, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[to.length] as number;
}
