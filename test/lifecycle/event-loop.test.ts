import { expect, test } from 'vitest';
import { picture } from '../files.js';
import { runProgram } from './program.js';
import { SlowModels } from './slow-models.js';

test('loading and answering leave the event loop free', async () => {
  const slow = new SlowModels();
  try {
    const { stdout, ...ended } = await runProgram(`
      import { monitorEventLoopDelay } from 'node:perf_hooks';
      import { loadModel } from 'xgen-mm';
      const image = ${JSON.stringify(picture())};
      const [vision, text] = ${JSON.stringify([slow.vision, slow.text])};
      const use = async () => {
        const models = await Promise.all([vision, text].map((file) => loadModel(file, { threads: 1 })));
        await models[0].encodeImage(image, { mode: 'squash' });
        await models[1].complete('x'.repeat(1000), { maxTokens: 50 });
        await Promise.all(models.map((model) => model.dispose()));
      };
      // Loads sharp and the addon, which is Node's own doing.
      const warm = await loadModel(text);
      await warm.countTokens([{ image }]);
      await warm.dispose();
      const delay = monitorEventLoopDelay({ resolution: 5 });
      delay.enable();
      const start = performance.now();
      await use();
      console.log(JSON.stringify([performance.now() - start, delay.max / 1e6]));`);
    expect(ended).toMatchObject({ code: 0, signal: null, stderr: '' });
    const [busyMs = 0, longestMs = 0] = JSON.parse(stdout) as number[];
    expect(longestMs).toBeGreaterThan(0);
    // Encoding and reading take more each; a busy machine may keep the loop waiting for less.
    expect(longestMs).toBeLessThan(busyMs / 4);
  } finally {
    slow.remove();
  }
});
