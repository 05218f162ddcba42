import { describe, expect, test } from 'vitest';
import { checkOptions, filePath, oneOf, positiveInteger, type Rules } from '../../lib/options.js';

interface Sample {
  maxTokens?: number;
  kvType?: 'f16' | 'f32';
}
const RULES: Rules<Sample> = { maxTokens: positiveInteger, kvType: oneOf('f16', 'f32') };
const read = (options: unknown) => checkOptions(options as Sample, RULES, 'sample()');

describe('checkOptions', () => {
  test('keeps what was given and leaves out undefined', () => {
    expect(read({ maxTokens: 3, kvType: undefined })).toEqual({ maxTokens: 3 });
    expect(read(undefined)).toEqual({});
  });

  test('takes what was given as it is now', () => {
    const stop = { text: 'a' };
    const rules: Rules<{ stop?: typeof stop }> = {
      stop: { expected: 'any', accepts: (_): _ is typeof stop => true },
    };
    const { stop: taken } = checkOptions<{ stop?: typeof stop }>({ stop }, rules, 'sample()');
    stop.text = 'b';
    expect(taken).toEqual({ text: 'a' });
  });

  test('a name of any length is refused at once', () => {
    const name = 'x'.repeat(500_000);
    const start = performance.now();
    expect(() => read({ [name]: 1 })).toThrow(/^Unknown option 'x{57}\.\.\.' in sample\(\)/);
    expect(performance.now() - start).toBeLessThan(1000);
    expect(() => checkOptions({ a: 1 } as object, {}, 'none()')).toThrow(
      "Unknown option 'a' in none(): it takes none",
    );
  });

  test.each([
    ['maxToken', "Unknown option 'maxToken' in sample(): did you mean 'maxTokens'?"],
    ['max_tokens', "Unknown option 'max_tokens' in sample(): did you mean 'maxTokens'?"],
    ['KVTYPE', "Unknown option 'KVTYPE' in sample(): did you mean 'kvType'?"],
    ['beams', "Unknown option 'beams' in sample(): it takes maxTokens, kvType"],
    ['toString', "Unknown option 'toString' in sample(): it takes maxTokens, kvType"],
  ])('refuses %s', (name, message) => {
    expect(() => read({ [name]: 1 })).toThrow(
      expect.objectContaining({ code: 'ERR_XGENMM_INVALID_ARGUMENT', message }),
    );
  });

  test.each([
    [{ maxTokens: 0 }, 'Expected a positive integer for maxTokens in sample(), received 0'],
    [{ maxTokens: '5' }, 'Expected a positive integer for maxTokens in sample(), received "5"'],
    [{ maxTokens: null }, 'Expected a positive integer for maxTokens in sample(), received null'],
    [{ maxTokens: 2 ** 31 }, 'Expected a positive integer for maxTokens in sample(), received 2147483648'],
    [{ kvType: 'q3' }, "Expected 'f16' or 'f32' for kvType in sample(), received \"q3\""],
    [{ kvType: new Map() }, "Expected 'f16' or 'f32' for kvType in sample(), received an object of type Map"],
    [[], 'Expected an object for the options of sample(), received an array of 0'],
    ['fast', 'Expected an object for the options of sample(), received "fast"'],
  ])('refuses the value in %o', (options, message) => {
    expect(() => read(options)).toThrow(message);
  });
});

describe('filePath', () => {
  test('takes paths and file URLs', () => {
    const url = new URL('file:///models/a%20b.gguf');
    expect(filePath('models/a.gguf', 'the model')).toBe('models/a.gguf');
    expect(filePath(url, 'the model')).toMatch(/models.a b\.gguf$/);
    expect(filePath(url.href, 'the model')).toBe(filePath(url, 'the model'));
  });

  test.each([[''], [7], [null], [new URL('https://example.org/a.gguf')]])('refuses %o', (location) => {
    expect(() => filePath(location, 'the model')).toThrow(/Expected .*file URL for the model, received/);
  });
});
