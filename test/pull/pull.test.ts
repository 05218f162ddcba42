import { createHash } from 'node:crypto';
import {
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { convert } from '../../lib/convert/convert.js';
import { loadModel } from '../../lib/load.js';
import { findPulled } from '../../lib/pull/pulled-models.js';
import { failure } from '../failure.js';
import { copyCheckpoint, TINY } from '../unit/checkpoint.js';
import { COMMIT, HubServer, isLarge, REPOSITORY, sendJson, sumOf } from './hub-server.js';
import { Pulling } from './pulling.js';

const NAME = 'tiny-instruct-interleave';
const SHARDS = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'];
const NEEDED = [
  'added_tokens.json',
  'config.json',
  'generation_config.json',
  'model.safetensors.index.json',
  'special_tokens_map.json',
  'tokenizer.json',
  'tokenizer.model',
  'tokenizer_config.json',
  ...SHARDS,
].sort();

async function sha256(path: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(path))
    .digest('hex');
}

describe('a checkpoint', () => {
  test('becomes the file that convert makes of the same folder, in a place that says what it is', async () => {
    const pulling = await Pulling.start();
    const path = await pulling.pull();
    expect(path).toBe(pulling.made(COMMIT, `${NAME}-F16.gguf`));
    const expected = join(pulling.home, 'expected.gguf');
    await convert(await copyCheckpoint(TINY, NAME), expected, {
      type: 'f16',
      variant: 'instruct-interleave',
    });
    expect(await sha256(path)).toBe(await sha256(expected));
    expect(await readdir(pulling.made(COMMIT))).toEqual([`${NAME}-F16.gguf`]);
    expect(pulling.notes.join('\n')).toMatch(
      /Needs 1\.54 MB for the rest of the checkpoint and .* for the model; .* are free/,
    );
  });

  test('lies in the cache as Python would have put it', async () => {
    const pulling = await Pulling.start();
    await pulling.pull();
    expect((await readdir(pulling.cache('snapshots', COMMIT))).sort()).toEqual(NEEDED);
    expect(await readFile(pulling.cache('refs', 'main'), 'utf8')).toBe(COMMIT);
    for (const name of NEEDED) {
      const bytes = pulling.hub.file(name);
      const link = pulling.cache('snapshots', COMMIT, name);
      if (process.platform !== 'win32') {
        expect((await lstat(link)).isSymbolicLink()).toBe(true);
        expect(await readlink(link)).toBe(join('..', '..', 'blobs', sumOf(name, bytes)));
      }
      expect((await readFile(link)).equals(bytes)).toBe(true);
    }
    const sums = NEEDED.map((name) => sumOf(name, pulling.hub.file(name)));
    expect((await pulling.blobs()).sort()).toEqual([...new Set(sums)].sort());
  });

  test('neither pickles nor code nor pictures of the page are downloaded', async () => {
    const pulling = await Pulling.start();
    await pulling.pull();
    const files = pulling.hub.asked.flatMap((path) => /\/resolve\/[0-9a-f]{40}\/(.*)$/.exec(path)?.[1] ?? []);
    expect(files.sort()).toEqual(NEEDED);
  });

  test('what Python has downloaded is not downloaded again', async () => {
    const pulling = await Pulling.start();
    const [shard] = SHARDS as [string];
    const bytes = pulling.hub.file(shard);
    const sum = sumOf(shard, bytes);
    await mkdir(pulling.cache('blobs'), { recursive: true });
    await mkdir(pulling.cache('snapshots', COMMIT), { recursive: true });
    await writeFile(pulling.cache('blobs', sum), bytes);
    await symlink(join('..', '..', 'blobs', sum), pulling.cache('snapshots', COMMIT, shard));
    // Where links are not allowed, Python puts the file itself there.
    const config = pulling.hub.file('config.json');
    await writeFile(pulling.cache('snapshots', COMMIT, 'config.json'), config);
    await pulling.pull();
    expect(pulling.hub.asked.filter((path) => path.includes(shard) || path.endsWith('config.json'))).toEqual(
      expect.not.arrayContaining([expect.stringMatching(/\/(config\.json|model-00001.*)$/)]),
    );
  });

  test('a second pull asks which commit it is and nothing else', async () => {
    const pulling = await Pulling.start();
    const path = await pulling.pull();
    pulling.hub.requests.length = 0;
    expect(await pulling.pull()).toBe(path);
    expect(pulling.hub.asked).toEqual([expect.stringContaining(`/api/models/${REPOSITORY}/revision/main`)]);
  });

  test('another type is made without another download', async () => {
    const pulling = await Pulling.start();
    await pulling.pull();
    pulling.hub.requests.length = 0;
    const path = await pulling.pull({ type: 'bf16', variant: 'base' });
    expect(path).toBe(pulling.made(COMMIT, `${NAME}-BF16-base.gguf`));
    expect(pulling.hub.asked.filter((asked) => asked.includes('/resolve/'))).toEqual([]);
  });

  test('a damaged model is made again', async () => {
    const pulling = await Pulling.start();
    const path = await pulling.pull();
    const sum = await sha256(path);
    await truncate(path, 1000);
    expect(await pulling.pull()).toBe(path);
    expect(await sha256(path)).toBe(sum);
    expect(pulling.notes).toContainEqual(expect.stringContaining('damaged'));
  });

  test('--output puts it elsewhere and leaves no note of it', async () => {
    const pulling = await Pulling.start();
    const output = join(pulling.home, 'here.gguf');
    await writeFile(output, 'old');
    expect(await pulling.pull({ output })).toBe(output);
    expect((await readFile(output)).subarray(0, 4).toString()).toBe('GGUF');
    expect(() => findPulled(`hf:${REPOSITORY}`, pulling.env)).toThrow(failure('ERR_XGENMM_FILE_NOT_FOUND'));
  });
});

describe('revisions', () => {
  const NEXT = 'f'.repeat(40);

  test('everything is taken from the commit that the revision was at the beginning', async () => {
    const pulling = await Pulling.start();
    const repository = pulling.hub.repositories.get(REPOSITORY);
    if (repository === undefined) throw new Error('no repository');
    repository.refs.old = COMMIT;
    // As soon as it has been asked for, the branch moves.
    pulling.hub.interject(/\/revision\//, (_, __, serve) => {
      serve();
      repository.refs.main = NEXT;
    });
    await pulling.pull();
    const asked = pulling.hub.asked.filter((path) => /resolve|tree/.test(path));
    expect(asked.every((path) => path.includes(COMMIT))).toBe(true);
    expect(await pulling.pull()).toBe(pulling.made(NEXT, `${NAME}-F16.gguf`));
  });

  test.each([{ revision: 'v1.0' }, { revision: COMMIT }, { revision: 'refs/pr/1' }])(
    '%j',
    async ({ revision }) => {
      const pulling = await Pulling.start();
      const repository = pulling.hub.repositories.get(REPOSITORY);
      if (repository !== undefined) repository.refs = { [revision]: COMMIT };
      expect(await pulling.pull({ revision })).toBe(pulling.made(COMMIT, `${NAME}-F16.gguf`));
      const refs = await readdir(pulling.cache(), { recursive: true });
      if (revision !== COMMIT)
        expect(await readFile(pulling.cache('refs', ...revision.split('/')), 'utf8')).toBe(COMMIT);
      else expect(refs).not.toContain('refs');
    },
  );

  test('one that is not there is an error that lists those that are', async () => {
    const pulling = await Pulling.start();
    await expect(pulling.pull({ revision: 'v9' })).rejects.toEqual(
      failure('ERR_XGENMM_DOWNLOAD', /has no revision v9; there are main, v1\.0$/),
    );
    pulling.hub.interject(/refs$/, (_, response) =>
      sendJson(response, { branches: [{ name: '../x' }], tags: 7 }),
    );
    await expect(pulling.pull({ revision: 'v9' })).rejects.toEqual(
      failure('ERR_XGENMM_DOWNLOAD', /has no revision v9$/),
    );
  });

  test('a URL names repository and revision; --revision must not contradict', async () => {
    const pulling = await Pulling.start();
    const url = `${pulling.hub.endpoint}/${REPOSITORY}/tree/main`;
    expect(await pulling.pull({}, url)).toBe(pulling.made(COMMIT, `${NAME}-F16.gguf`));
    await expect(pulling.pull({ revision: 'v2' }, url)).rejects.toEqual(
      failure('ERR_XGENMM_INVALID_ARGUMENT'),
    );
  });
});

describe('offline', () => {
  test('HF_HUB_OFFLINE takes what is there, without a connection, and says so', async () => {
    const pulling = await Pulling.start();
    const path = await pulling.pull();
    pulling.hub.requests.length = 0;
    expect(await pulling.pull({}, REPOSITORY, { HF_HUB_OFFLINE: '1' })).toBe(path);
    const other = await pulling.pull({ type: 'bf16' }, REPOSITORY, { HF_HUB_OFFLINE: 'true' });
    expect(other).toBe(pulling.made(COMMIT, `${NAME}-BF16.gguf`));
    expect(pulling.hub.requests).toEqual([]);
    expect(pulling.notes).toContainEqual(expect.stringMatching(/^HF_HUB_OFFLINE is set: commit 0123/));
  });

  test('HF_HUB_OFFLINE with a part of a checkpoint fails and says what to do', async () => {
    const pulling = await Pulling.start();
    await pulling.pull();
    for (const [name, code] of [
      ['model-00002-of-00002.safetensors', 'ERR_XGENMM_MODEL_INVALID'],
      ['config.json', 'ERR_XGENMM_DOWNLOAD'],
    ] as const) {
      await rm(pulling.cache('snapshots', COMMIT, name));
      await expect(pulling.pull({ type: 'bf16' }, REPOSITORY, { HF_HUB_OFFLINE: '1' })).rejects.toEqual(
        failure(code, /the cache does not have it; pull with a connection, without HF_HUB_OFFLINE$/),
      );
    }
  });

  test('HF_HUB_OFFLINE with an empty cache fails and says what to do', async () => {
    const pulling = await Pulling.start();
    await expect(pulling.pull({}, REPOSITORY, { HF_HUB_OFFLINE: '1' })).rejects.toEqual(
      failure('ERR_XGENMM_DOWNLOAD', /HF_HUB_OFFLINE is set.*unset it/),
    );
    expect(pulling.hub.requests).toEqual([]);
  });

  test('so does a hub that cannot be reached', async () => {
    const pulling = await Pulling.start();
    const path = await pulling.pull();
    const other = await HubServer.start();
    await other.stop();
    const gone = { HF_ENDPOINT: other.endpoint };
    expect(await pulling.pull({}, REPOSITORY, gone)).toBe(path);
    expect(pulling.notes).toContainEqual(expect.stringContaining(`${gone.HF_ENDPOINT} cannot be reached`));
    await expect(pulling.pull({}, 'acme/other', gone)).rejects.toEqual(
      failure('ERR_XGENMM_DOWNLOAD', /connection failed.*run the same command again later/),
    );
  });
});

describe('hf:owner/name', () => {
  test('is not noted again, so that a folder may be one that can only be read', async () => {
    const pulling = await Pulling.start();
    await pulling.pull();
    const states = () =>
      Promise.all(['last', 'f16'].map(async (name) => (await stat(pulling.made('refs', name))).ino));
    const before = await states();
    await pulling.pull();
    expect(await states()).toEqual(before);
  });

  test('is what the last pull left, or the last of a type', async () => {
    const pulling = await Pulling.start();
    const f16 = await pulling.pull();
    const bf16 = await pulling.pull({ type: 'bf16' });
    pulling.hub.requests.length = 0;
    expect(findPulled(`hf:${REPOSITORY}`, pulling.env)).toBe(bf16);
    expect(findPulled(`hf:${REPOSITORY}:f16`, pulling.env)).toBe(f16);
    await pulling.pull();
    expect(findPulled(`hf:${REPOSITORY}`, pulling.env)).toBe(f16);
  });

  test('loads', async () => {
    const pulling = await Pulling.start();
    await pulling.pull({ type: 'f32' });
    vi.stubEnv('HF_HOME', pulling.home);
    pulling.hub.requests.length = 0;
    for (const source of [
      `hf:${REPOSITORY}`,
      { text: `hf:${REPOSITORY}:f32`, vision: `hf:${REPOSITORY}` },
    ] as const) {
      const model = await loadModel(source, { threads: 1, contextSize: 64 });
      expect(model.info.variant).toBe('instruct-interleave');
      await model.dispose();
    }
    vi.unstubAllEnvs();
    expect(pulling.hub.requests).toEqual([]);
  });

  test('names the command where nothing was pulled', async () => {
    const pulling = await Pulling.start();
    vi.stubEnv('HF_HOME', pulling.home);
    await expect(loadModel('hf:acme/other:q8_0')).rejects.toEqual(
      failure('ERR_XGENMM_FILE_NOT_FOUND', /npx xgen-mm pull acme\/other --type q8_0$/),
    );
    vi.unstubAllEnvs();
  });

  test.each([
    'hf:',
    'hf:name',
    'hf:../../etc/passwd',
    'hf:a/..',
    'hf:a/b:../c',
    'hf:a/b:q8_0:x',
    'hf:a\\b/c',
    'hf:/a',
  ])('%s is refused', (location) => {
    expect(() => findPulled(location, { HF_HOME: 'nowhere' })).toThrow(
      failure('ERR_XGENMM_INVALID_ARGUMENT'),
    );
  });
});

test('two pulls at once download every file once and make the same', async () => {
  const pulling = await Pulling.start();
  const [first, second] = await Promise.all([pulling.pull(), pulling.pull()]);
  expect(first).toBe(second);
  const large = pulling.hub.requests.filter(({ cdn }) => cdn).map(({ path }) => path);
  expect(large).toHaveLength(new Set(large).size);
  expect(large).toHaveLength(NEEDED.filter(isLarge).length);
});
