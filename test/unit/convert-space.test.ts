import { expect, test, vi } from 'vitest';
import { expectRefusal, TINY } from './checkpoint.js';

const space = vi.hoisted(() => ({ bavail: 10, bsize: 4096, blocks: 1000 }));
vi.mock('node:fs/promises', async (original) => ({
  ...(await original<typeof import('node:fs/promises')>()),
  statfs: async () => space,
}));

test('too little free space is said before anything is written, with both numbers', async () => {
  await expectRefusal(
    TINY,
    'WRITE_FAILED',
    /^Expected \d{6,} free bytes for .*out\.gguf, received 40960: free some/,
  );
  await expectRefusal(TINY, 'WRITE_FAILED', 'received 40960', { dryRun: true });
});

test('a file system that does not tell is tried', async () => {
  space.blocks = 0;
  space.bavail = 0;
  const { convertToGguf } = await import('./checkpoint.js');
  expect((await convertToGguf(TINY)).tensors.size).toBeGreaterThan(100);
});
