import { mkdir, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  convertToGguf,
  copyCheckpoint,
  editJson,
  expectRefusal,
  TINY,
  temporaryFolder,
} from './checkpoint.js';

const INDEX = 'model.safetensors.index.json';
const FIRST = 'model-00001-of-00002.safetensors';
const NORM = 'vlm.lang_model.model.norm.weight';

describe('files', () => {
  test('a folder that does not exist, or is a file', async () => {
    const missing = join(await temporaryFolder(), 'absent');
    await expectRefusal(missing, 'FILE_NOT_FOUND', missing);
    await expectRefusal(join(TINY, 'config.json'), 'FILE_NOT_FOUND', 'Expected a folder, received the file');
  });

  test.each([
    ['config.json', 'config.json'],
    ['tokenizer_config.json', 'tokenizer_config.json'],
    [FIRST, FIRST],
    [INDEX, 'model.safetensors'],
  ])('%s missing', async (file, named) => {
    const folder = await copyCheckpoint();
    await rm(join(folder, file));
    await expectRefusal(folder, 'FILE_NOT_FOUND', named);
  });

  test('tokenizer.model and tokenizer.json missing', async () => {
    const folder = await copyCheckpoint();
    await rm(join(folder, 'tokenizer.model'));
    await rm(join(folder, 'tokenizer.json'));
    await expectRefusal(folder, 'FILE_NOT_FOUND', 'Expected tokenizer.model or tokenizer.json');
  });

  test.each(['config.json', 'tokenizer_config.json', 'tokenizer.json', INDEX])('%s broken', async (file) => {
    const folder = await copyCheckpoint();
    await writeFile(join(folder, file), '{"model_type": ');
    await expectRefusal(folder, 'MODEL_INVALID', `Expected JSON in ${file}`);
    await writeFile(join(folder, file), '[]');
    await expectRefusal(folder, 'MODEL_INVALID', `Expected a JSON object in ${file}, received an array of 0`);
  });

  test('a folder in place of a file', async () => {
    const folder = await copyCheckpoint();
    await rm(join(folder, 'config.json'));
    await mkdir(join(folder, 'config.json'));
    await expectRefusal(folder, 'MODEL_INVALID', 'to be a regular file');
  });

  test('JSON of an absurd size is not read', async () => {
    const folder = await copyCheckpoint();
    await truncate(join(folder, 'config.json'), 2 ** 26 + 1);
    await expectRefusal(folder, 'MODEL_INVALID', 'bytes in config.json, received 67108865');
  });
});

describe('shards that leave the folder', () => {
  test.each(['../tiny.safetensors', '/etc/passwd', 'sub/a.safetensors', '..', 'C:\\a.safetensors', ''])(
    '%j',
    async (name) => {
      const folder = await copyCheckpoint();
      await editJson<{ weight_map: Record<string, unknown> }>(join(folder, INDEX), ({ weight_map: map }) => {
        map[NORM] = name;
      });
      await expectRefusal(folder, 'MODEL_INVALID', `Expected the plain name of a file`);
    },
  );

  // Making a link takes a privilege on Windows.
  const linkTest = test.skipIf(process.platform === 'win32');

  linkTest('by a link', async () => {
    const folder = await copyCheckpoint();
    const outside = join(dirname(folder), 'outside.safetensors');
    await rename(join(folder, FIRST), outside);
    await symlink(outside, join(folder, FIRST));
    await expectRefusal(folder, 'MODEL_INVALID', `Expected the file ${FIRST} to lie in`);
  });

  linkTest('except for those of the Hugging Face cache', async () => {
    const copy = await copyCheckpoint();
    const repository = join(dirname(copy), 'models--Salesforce--xgen-mm-phi3-mini-base-r-v1.5');
    const folder = join(repository, 'snapshots', '0123abcd');
    await mkdir(join(repository, 'snapshots'), { recursive: true });
    await mkdir(join(repository, 'blobs'));
    await rename(copy, folder);
    await rename(join(folder, FIRST), join(repository, 'blobs', 'f00d'));
    await symlink(join('..', '..', 'blobs', 'f00d'), join(folder, FIRST));
    const { metadata } = await convertToGguf(folder, { variant: undefined });
    expect(metadata.get('general.name')?.value).toBe('xgen-mm-phi3-mini-base-r-v1.5');
    expect(metadata.get('xgenmm.variant')?.value).toBe('base');
  });
});
