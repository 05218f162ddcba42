import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { isForeground } from '../../lib/cli/thumbnail/foreground.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'xgen-mm-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

test.each([
  ['in the foreground', '12 (node) R 10 12 10 34816 12 4194304 0', true],
  ['in the background', '12 (node) R 10 12 10 34816 10 4194304 0', false],
  ['without a terminal', '12 (node) R 10 12 10 0 -1 4194304 0', true],
  ['under a name like that', '12 (a) R 1 2 3 4 5 (b) R 10 12 10 34816 10 4194304 0', false],
])('%s', (_, stat, foreground) => {
  const file = join(folder, 'stat');
  writeFileSync(file, `${stat}\n`);
  expect(isForeground(file)).toBe(foreground);
});

test('where the system does not tell', () => {
  expect(isForeground(join(folder, 'none'))).toBe(true);
});
