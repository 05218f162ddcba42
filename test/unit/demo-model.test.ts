import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { findDemoModel, findDemoPictures } from '../../lib/demo-model.js';
import { createModel } from '../../lib/load.js';
import { modelPath } from '../../lib/model-path.js';
import { failure } from '../failure.js';
import { root } from '../files.js';
import { FakeAddon } from './fake-addon.js';

test('demo is the model of the package, in every place of a model', async () => {
  const path = join(root, 'models', 'demo.gguf');
  const addon = new FakeAddon();
  await createModel(addon, 'demo');
  await createModel(addon, { text: 'demo', vision: 'demo' });
  expect(addon.loads).toMatchObject([{ textPath: path }, { textPath: path, visionPath: path }]);
});

test.each(['./demo', 'demo.gguf', 'Demo', 'models/demo', 'demo/', ' demo'])('%s is a file', (location) => {
  expect(modelPath(location, 'the model')).toBe(location);
});

test('a package without it, or without what the demo shows, says so', () => {
  const elsewhere = pathToFileURL(join(root, 'no such folder', 'models/'));
  expect(() => findDemoModel(elsewhere)).toThrow(
    failure(
      'ERR_XGENMM_FILE_NOT_FOUND',
      /^Expected .* at .*no such folder.*demo\.gguf, received ENOENT: it comes with the package, so install that again, .* \.\/demo$/,
    ),
  );
  expect(() => findDemoPictures(elsewhere)).toThrow(
    failure(
      'ERR_XGENMM_FILE_NOT_FOUND',
      /^Expected .* at .*no such folder.*scenes\.json, received ENOENT: it comes with the package, so install that again$/,
    ),
  );
});
