import { open, readdir, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { expect, onTestFinished, test, vi } from 'vitest';
import { FileLock } from '../../lib/pull/file-lock.js';
import { failure } from '../failure.js';
import { temporaryFolder } from '../unit/checkpoint.js';

const never = () => expect.unreachable('it had to wait');

test('one holds it at a time, and the others wait', async () => {
  const path = join(await temporaryFolder(), 'lock');
  let holders = 0;
  let waited = 0;
  const work = async () => {
    const lock = await FileLock.acquire(path, () => waited++, undefined);
    expect(++holders).toBe(1);
    await setTimeout(20);
    await lock.assertHeld();
    holders--;
    await lock.release();
  };
  await Promise.all([work(), work(), work()]);
  expect(waited).toBe(2);
});

test('one that nobody touches any more is taken over, by one of those who wait', async () => {
  const folder = await temporaryFolder();
  const path = join(folder, 'lock');
  await writeFile(path, 'of a process that was killed');
  const locks: FileLock[] = [];
  const take = async () => {
    const lock = await FileLock.acquire(path, () => {}, undefined, 300);
    locks.push(lock);
    await lock.assertHeld();
    expect(locks).toHaveLength(1);
    locks.pop();
    await lock.release();
  };
  await Promise.all([take(), take(), take()]);
  expect(await readdir(folder)).toEqual([]);
});

test('one that is touched is waited for', async () => {
  const path = join(await temporaryFolder(), 'lock');
  await writeFile(path, 'of a process that lives');
  let second = 0;
  const beat = setInterval(() => void utimes(path, ++second, second), 50);
  const waiting = FileLock.acquire(path, () => {}, AbortSignal.timeout(900), 300);
  await expect(waiting).rejects.toThrow(/timeout/i);
  clearInterval(beat);
});

test('who was taken for gone finds out', async () => {
  const path = join(await temporaryFolder(), 'lock');
  const lock = await FileLock.acquire(path, never, undefined);
  await writeFile(path, 'of another process');
  await expect(lock.assertHeld()).rejects.toEqual(
    failure('ERR_XGENMM_DOWNLOAD', /another one has taken over/),
  );
  await lock.release();
  expect(await readdir(join(path, '..'))).toEqual(['lock']);
});

test('a folder that is not there is an error', async () => {
  const path = join(await temporaryFolder(), 'absent', 'lock');
  await expect(FileLock.acquire(path, never, undefined)).rejects.toEqual(failure('ERR_XGENMM_WRITE_FAILED'));
});

test('a full disk is an error that says so, and leaves nothing that others would wait for', async () => {
  const folder = await temporaryFolder();
  const handle = await open(join(folder, 'other'), 'w');
  await handle.close();
  const write = vi.spyOn(Object.getPrototypeOf(handle), 'writeFile');
  onTestFinished(() => write.mockRestore());
  write.mockRejectedValueOnce(Object.assign(new Error('ENOSPC: no space left'), { code: 'ENOSPC' }));
  await expect(FileLock.acquire(join(folder, 'lock'), never, undefined)).rejects.toEqual(
    failure('ERR_XGENMM_WRITE_FAILED', /lock: ENOSPC/),
  );
  expect(await readdir(folder)).toEqual(['other']);
});

test('however many wait for one that is gone, one at a time holds it', async () => {
  const folder = await temporaryFolder();
  const round = async (_: unknown, index: number) => {
    const path = join(folder, `lock-${index}`);
    await writeFile(path, 'of a process that was killed');
    let holders = 0;
    const take = async () => {
      const lock = await FileLock.acquire(path, () => {}, undefined, 300);
      expect(++holders).toBe(1);
      await lock.assertHeld();
      holders--;
      await lock.release();
    };
    await Promise.all([take(), take(), take(), take(), take(), take()]);
  };
  await Promise.all(Array.from({ length: 20 }, round));
  expect(await readdir(folder)).toEqual([]);
});
