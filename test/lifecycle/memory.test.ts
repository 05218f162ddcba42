import { expect, test, vi } from 'vitest';
import { modelFile, picture } from '../files.js';
import { runProgram } from './program.js';

test('50 rounds of load, use and dispose leave the memory of the fifth', async () => {
  // Every round has new threads. Which of its heaps each is given, and what stays between two blocks there, is chance with glibc.
  vi.stubEnv('MALLOC_ARENA_MAX', '1');
  const { stdout, ...ended } = await runProgram(
    `
    import { loadModel } from 'xgen-mm';
    const image = ${JSON.stringify(picture())};
    const sizes = [];
    for (let round = 1; round <= 50; round++) {
      const model = await loadModel(${JSON.stringify(modelFile('wide-f16'))}, { threads: 1 });
      await model.chat().ask([{ image }, 'What is it?'], { maxTokens: 4 });
      await model.dispose();
      global.gc();
      sizes.push(process.memoryUsage.rss());
    }
    // Medians: a single reading may catch the allocator on its way.
    const around = (round) => sizes.slice(round - 3, round + 2).sort((a, b) => a - b)[2];
    console.log(JSON.stringify([around(5), around(48)]));`,
    '--expose-gc',
  );
  expect(ended).toMatchObject({ code: 0, signal: null, stderr: '' });
  const [early = 0, late = 0] = JSON.parse(stdout) as number[];
  expect(early).toBeGreaterThan(0);
  expect(late / early).toBeLessThan(1.05);
});
