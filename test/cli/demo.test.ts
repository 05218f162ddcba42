import { expect, test, vi } from 'vitest';
import { runScript } from './run.js';

// Programs are started one after another, which a busy machine may take its time over.
vi.setConfig({ testTimeout: 300_000 });

test('the demo answers about each picture, honestly and without touching the terminal', async () => {
  const { code, stdout, stderr } = await runScript('scripts/demo.mjs');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  for (const name of ['street.jpg', 'balloon.png', 'table-before.webp']) {
    const [, part = ''] = stdout.split(`examples/pictures/${name}\n`);
    expect(part).toMatch(
      /^ {2}question {2}\S.*\?\n {2}answer {4}\S.*\n {2}picture {3}40 embeddings: .*vision tower [\d.]+ ms/,
    );
  }
  expect(stdout).toContain('RANDOM weights');
  expect(stdout).toContain('npx xgen-mm pull');
  expect(stdout).not.toMatch(/[^\P{Control}\n]|\p{Format}/u);
});
