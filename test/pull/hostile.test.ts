import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { failure } from '../failure.js';
import { COMMIT, listing, REPOSITORY, type ServedRepository, sendFile, sendJson } from './hub-server.js';
import { Pulling } from './pulling.js';

const DONE = /F16\.gguf$/;

describe('hostile lists', () => {
  const NAMES = [
    '../../evil.txt',
    '/etc/evil',
    '..',
    'C:\\evil',
    'a/../../evil',
    'nul\0byte.gguf',
    'a\\..\\evil.gguf',
    '../model.gguf',
  ];

  test('names that lead elsewhere are as if they were not there', async () => {
    const pulling = await Pulling.start();
    const files = pulling.hub.repositories.get(REPOSITORY)?.files;
    for (const name of NAMES) files?.set(name, Buffer.from('evil'));
    expect(await pulling.pull()).toMatch(DONE);
    const left = await readdir(pulling.home, { recursive: true });
    expect(left.filter((name) => name.includes('evil'))).toEqual([]);
    expect(pulling.hub.asked.filter((path) => path.includes('evil'))).toEqual([]);
  });

  test('a repository of nothing but such names has no model', async () => {
    const pulling = await Pulling.start();
    const files = new Map(NAMES.map((name) => [name, Buffer.from('evil')]));
    pulling.hub.repositories.set(REPOSITORY, { refs: { main: COMMIT }, files });
    await expect(pulling.pull()).rejects.toEqual(failure('ERR_XGENMM_DOWNLOAD', /received neither/));
  });

  test.each(['../../evil.safetensors', '/evil.safetensors', 'a/b.safetensors', 'evil.bin', 7, null])(
    'an index that names %j is refused',
    async (name) => {
      const pulling = await Pulling.start();
      const files = pulling.hub.repositories.get(REPOSITORY)?.files;
      files?.set('model.safetensors.index.json', Buffer.from(JSON.stringify({ weight_map: { a: name } })));
      await expect(pulling.pull()).rejects.toEqual(failure('ERR_XGENMM_MODEL_INVALID', /weight_map/));
    },
  );

  test('an index that names a file which is not there is refused', async () => {
    const pulling = await Pulling.start();
    pulling.hub.repositories.get(REPOSITORY)?.files.delete('model-00002-of-00002.safetensors');
    await expect(pulling.pull()).rejects.toEqual(
      failure('ERR_XGENMM_MODEL_INVALID', /"model-00002.*none of that name/),
    );
  });

  test.each<[string, unknown]>([
    ['an object', { a: 1 }],
    ['null', null],
    ['a string', 'list'],
    ['a list of nothing', [null, 1, 'a', [], {}]],
    ['wrong values', [{ type: 'file', path: 7, size: 1, oid: 'x' }]],
    ['negative sizes', [{ type: 'file', path: 'config.json', size: -1, oid: '0'.repeat(40) }]],
    ['absurd sizes', [{ type: 'file', path: 'config.json', size: 1e300, oid: '0'.repeat(40) }]],
    ['sums that are paths', [{ type: 'file', path: 'config.json', size: 1, oid: '../../../../evil' }]],
    [
      'LFS sums that are paths',
      [{ type: 'file', path: 'x.gguf', size: 1, oid: '0'.repeat(40), lfs: { oid: '../evil' } }],
    ],
    ['prototypes', JSON.parse('[{"__proto__": {"type": "file", "path": "config.json"}}]')],
  ])('%s in place of a list is an error', async (_, value) => {
    const pulling = await Pulling.start();
    pulling.hub.interject(/tree/, (_request, response) => sendJson(response, value));
    await expect(pulling.pull()).rejects.toEqual(failure('ERR_XGENMM_DOWNLOAD'));
  });

  test.each([
    ['no JSON', '<html>'],
    ['deep JSON', '['.repeat(200_000)],
    ['nothing', ''],
  ])('%s is an error', async (_, text) => {
    const pulling = await Pulling.start();
    pulling.hub.interject(/tree/, (_request, response) => response.end(text));
    await expect(pulling.pull()).rejects.toEqual(failure('ERR_XGENMM_DOWNLOAD', /is HF_ENDPOINT a hub\?/));
  });

  test.each([[null], [{}], [{ sha: 7 }], [{ sha: '../../../x' }], [{ sha: 'F'.repeat(40) }], [[]]])(
    '%j is no commit',
    async (value) => {
      const pulling = await Pulling.start();
      pulling.hub.interject(/revision/, (_request, response) => sendJson(response, value));
      await expect(pulling.pull()).rejects.toEqual(failure('ERR_XGENMM_DOWNLOAD', /is HF_ENDPOINT a hub\?/));
    },
  );

  test('a list without an end is left', async () => {
    const pulling = await Pulling.start();
    pulling.hub.interject(
      /tree/,
      (request, response) => {
        const next = `<${pulling.hub.endpoint}${request.url}>; rel="next"`;
        sendJson(response, [{ type: 'directory', path: 'a' }], { link: next });
      },
      1e6,
    );
    await expect(pulling.pull()).rejects.toEqual(failure('ERR_XGENMM_DOWNLOAD', /more than 100 pages/));
  });

  test('a huge list is left', async () => {
    const pulling = await Pulling.start();
    const entries = Array.from({ length: 20_000 }, (_, index) => ({ type: 'file', path: `f${index}` }));
    pulling.hub.interject(/tree/, (_request, response) => sendJson(response, entries));
    await expect(pulling.pull()).rejects.toEqual(failure('ERR_XGENMM_DOWNLOAD', /more than 10000 of them/));
  });

  test('an answer without an end is left', async () => {
    const pulling = await Pulling.start();
    pulling.hub.interject(/tree/, (_request, response) => {
      const chunk = Buffer.alloc(65_536, ' ');
      const more = () => {
        while (!response.destroyed && response.write(chunk));
      };
      response.on('drain', more);
      more();
    });
    await expect(pulling.pull()).rejects.toEqual(failure('ERR_XGENMM_DOWNLOAD', /at most 16777216 bytes/));
  });

  test('a config.json of gigabytes is refused before it is downloaded', async () => {
    const pulling = await Pulling.start();
    const entries = listing(pulling.hub.repositories.get(REPOSITORY) as ServedRepository, '');
    const grown = entries.map((entry) => ({ ...entry, ...('lfs' in entry ? {} : { size: 5e9 }) }));
    pulling.hub.interject(/tree/, (_request, response) => sendJson(response, grown));
    await expect(pulling.pull()).rejects.toEqual(
      failure('ERR_XGENMM_MODEL_INVALID', /at most 67108864 bytes/),
    );
  });
});

test('weights that do not fit on the disk are refused with the numbers, before they are downloaded', async () => {
  const pulling = await Pulling.start();
  const entries = listing(pulling.hub.repositories.get(REPOSITORY) as ServedRepository, '');
  const grown = entries.map((entry) =>
    'lfs' in entry && JSON.stringify(entry).includes('safetensors') ? { ...entry, size: 4e12 } : entry,
  );
  pulling.hub.interject(/tree/, (_request, response) => sendJson(response, grown));
  await expect(pulling.pull()).rejects.toEqual(
    failure(
      'ERR_XGENMM_WRITE_FAILED',
      /of free space at .*8000\.00 GB for the rest of the checkpoint and .*received .*HF_HOME/,
    ),
  );
  expect(pulling.hub.asked.filter((path) => path.includes('model-0'))).toEqual([]);
});

test('a server that sends other bytes than it listed cannot put them in the cache', async () => {
  const pulling = await Pulling.start();
  const evil = Buffer.from('{"model_type": "evil"}');
  const size = pulling.hub.file('config.json').length;
  const padded = Buffer.concat([evil, Buffer.alloc(size - evil.length, ' ')]);
  pulling.hub.interject(/config\.json/, (request, response) => sendFile(request, response, padded, 'x'), 2);
  await expect(pulling.pull()).rejects.toEqual(failure('ERR_XGENMM_DOWNLOAD', /Expected the sum/));
  for (const name of await pulling.blobs()) {
    expect(await readFile(pulling.cache('blobs', name), 'utf8')).not.toContain('evil');
  }
});

test('a folder that cannot be written is an error that says so', async () => {
  const pulling = await Pulling.start();
  await mkdir(join(pulling.home, 'hub'));
  await writeFile(pulling.cache(), 'a file where the folder of the repository should be');
  await expect(pulling.pull()).rejects.toEqual(failure('ERR_XGENMM_WRITE_FAILED', /Could not write/));
});
