import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/global-setup.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // Models are held by native threads of their own: two files at a time keep two cores busy.
    pool: 'forks',
    maxWorkers: 2,
  },
});
