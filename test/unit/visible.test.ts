import { expect, test } from 'vitest';
import { visible } from '../../lib/cli/visible.js';

test('what could drive a terminal is written out', () => {
  expect(visible('\x1b[2Jgone\r\x07\x9b')).toBe('\\u{1b}[2Jgone\\u{d}\\u{7}\\u{9b}');
  expect(visible('a\u202eb\u2066c')).toBe('a\\u{202e}b\\u{2066}c');
});

test('text stays as it is', () => {
  const text = 'Two lines\n\tand 👩‍🔬, Ünïcödé, 日本語.';
  expect(visible(text)).toBe(text);
});
