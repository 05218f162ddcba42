import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { runScript } from '../cli/run.js';
import { root } from '../files.js';

const script = pathToFileURL(join(root, 'scripts', 'llama-cpp.mjs')).href;
const { hasLlamaCpp } = (await import(script)) as { hasLlamaCpp(): boolean };

test('llama.cpp quantises a phi3 file to the same bytes and finds the same distributions', {
  timeout: 600_000,
}, async ({ skip }) => {
  skip(!hasLlamaCpp(), 'llama.cpp is not built: node scripts/llama-cpp.mjs');
  const { code, stderr } = await runScript('scripts/check-llama-cpp.mjs', ['--threads', '1']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringContaining('Both do the same.') });
});
