import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import * as byteMutations from './byte-mutations.js';
import { type Mutation, smallModel } from './mutation.js';
import * as tensorMutations from './tensor-mutations.js';
import * as valueMutations from './value-mutations.js';
import { isAcceptable, Victim } from './victim.js';

const FAMILIES = Object.entries({ ...byteMutations })
  .concat(Object.entries(valueMutations).map(([name, make]) => [`${name} (values)`, make]))
  .concat(Object.entries(tensorMutations).map(([name, make]) => [`${name} (tensors)`, make]));

let folder: string;
let victim: Victim;
let tried = 0;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'xgen-mm-'));
  victim = new Victim('load-victim.mjs', 2000);
});
afterAll(async () => {
  expect(await victim.end()).toBe(0);
  rmSync(folder, { recursive: true });
});

async function load(bytes: Buffer) {
  const path = join(folder, `${tried++}.gguf`);
  writeFileSync(path, bytes);
  try {
    return await victim.try(path);
  } finally {
    rmSync(path);
  }
}

test('the file as it was works', async () => {
  expect(await load(smallModel().serialise().bytes)).toBe('fine');
});

test.each(FAMILIES)('%s', { timeout: 120_000 }, async (_, mutations: () => Iterable<Mutation>) => {
  const wrong: unknown[] = [];
  for (const { name, bytes, fatal } of mutations()) {
    const outcome = await load(bytes);
    if (!isAcceptable(outcome) || (fatal && outcome === 'fine')) wrong.push({ name, outcome });
  }
  expect(wrong).toEqual([]);
});

test('that were more than 500 mutations', () => {
  expect(tried).toBeGreaterThan(500);
});
