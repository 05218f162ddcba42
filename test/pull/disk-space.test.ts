import { join } from 'node:path';
import { expect, test } from 'vitest';
import { checkSpace } from '../../lib/pull/disk-space.js';
import { failure } from '../failure.js';
import { temporaryFolder } from '../unit/checkpoint.js';

test('what goes onto one disk is added up, and the numbers are said', async () => {
  const home = await temporaryFolder();
  const needs = [
    { folder: join(home, 'not', 'there', 'yet'), bytes: 6e9, what: 'the checkpoint' },
    { folder: home, bytes: 3e9, what: 'the model' },
  ];
  expect(await checkSpace(needs, async () => 9e9)).toBe(
    `Needs 6.00 GB for the checkpoint and 3.00 GB for the model; 9.00 GB are free at ${home}.`,
  );
  await expect(checkSpace(needs, async () => 8.9e9)).rejects.toEqual(
    failure('ERR_XGENMM_WRITE_FAILED', /Expected 9\.00 GB of free space at .*received 8\.90 GB; free some/),
  );
});

test('asks the file system', async () => {
  const folder = await temporaryFolder();
  await expect(checkSpace([{ folder, bytes: 1e18, what: 'x' }])).rejects.toEqual(
    failure('ERR_XGENMM_WRITE_FAILED'),
  );
});
