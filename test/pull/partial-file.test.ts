import { open, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { PartialFile } from '../../lib/pull/partial-file.js';
import { failure } from '../failure.js';
import { temporaryFolder } from '../unit/checkpoint.js';

test('a disk that cannot keep what was written is an error that says so', async () => {
  const folder = await temporaryFolder();
  const handle = await open(join(folder, 'other'), 'w');
  await handle.close();
  const sync = vi.spyOn(Object.getPrototypeOf(handle), 'sync');
  onTestFinished(() => sync.mockRestore());
  sync.mockRejectedValueOnce(Object.assign(new Error('EDQUOT: too much'), { code: 'EDQUOT' }));
  const part = await PartialFile.open(join(folder, 'part'));
  await part.append(Buffer.from('abc'));
  await expect(part.close()).rejects.toEqual(
    failure('ERR_XGENMM_WRITE_FAILED', /part: EDQUOT.*free some space/),
  );
});

test.skipIf(process.platform === 'win32')('a link in its place is not written through', async () => {
  const folder = await temporaryFolder();
  await writeFile(join(folder, 'precious'), 'precious');
  await symlink('precious', join(folder, 'part'));
  await expect(PartialFile.open(join(folder, 'part'))).rejects.toEqual(
    failure('ERR_XGENMM_WRITE_FAILED', /Could not write .*part/),
  );
  expect(await readFile(join(folder, 'precious'), 'utf8')).toBe('precious');
});
