import { expect, test } from 'vitest';
import { runScript } from '../cli/run.js';

test('the bundle for a machine with a GPU explains itself, and refuses what it does not know before it makes anything', async () => {
  const { code, stdout, stderr } = await runScript('scripts/gpu-check-bundle.mjs', ['--help']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toMatch(/^Usage: node scripts\/gpu-check-bundle\.mjs\n/);
  expect(await runScript('scripts/gpu-check-bundle.mjs', ['--hlep'])).toEqual({
    code: 2,
    stdout: '',
    stderr: 'Expected no argument but --help, received --hlep\n',
  });
});
