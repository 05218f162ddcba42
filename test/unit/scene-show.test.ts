import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { SceneShow } from '../../lib/cli/scene-show.js';
import { createModel } from '../../lib/load.js';
import { failure } from '../failure.js';
import { picture } from '../files.js';
import { FakeAddon } from './fake-addon.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'xgen-mm-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

test.each([undefined, 'kitty'] as const)(
  'a picture that cannot be decoded fails its question, thumbnails: %s',
  async (protocol) => {
    const half = join(folder, 'half.png');
    const bytes = readFileSync(picture());
    writeFileSync(half, bytes.subarray(0, bytes.length / 2));
    const turns = [{ question: 'What color is it?', answer: 'red' }];
    const model = await createModel(new FakeAddon(), 'fake.gguf');
    const show = new SceneShow(model, protocol, new AbortController().signal);
    const write = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
    try {
      await expect(show.show({ pictures: [half], turns, shows: 'colour' })).rejects.toEqual(
        failure('ERR_XGENMM_IMAGE_DECODE', /^Expected a picture that can be decoded, received .*half\.png/),
      );
      expect(write.mock.calls.map(([text]) => text).join('')).toMatch(
        /^half\.png, \d+ x \d+\n {2}question {2}What color is it\?\n$/,
      );
    } finally {
      write.mockRestore();
      await model.dispose();
    }
  },
);
