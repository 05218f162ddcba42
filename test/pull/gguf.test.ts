import { once } from 'node:events';
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { PullOptions } from '../../lib/pull/pull.js';
import { findPulled } from '../../lib/pull/pulled-models.js';
import { failure } from '../failure.js';
import { modelFile } from '../files.js';
import { COMMIT, REPOSITORY, sendFile } from './hub-server.js';
import { Pulling } from './pulling.js';

const MODEL = await readFile(modelFile('tiny-f16'));

/** A hub whose repository holds these files. */
async function withFiles(files: Record<string, Buffer>): Promise<Pulling> {
  const pulling = await Pulling.start();
  pulling.hub.repositories.set(REPOSITORY, { refs: { main: COMMIT }, files: new Map(Object.entries(files)) });
  return pulling;
}

describe('a repository with GGUF files', () => {
  test('the only file is taken, and lies in the cache', async () => {
    const pulling = await withFiles({ 'README.md': Buffer.from('#'), 'model.gguf': MODEL });
    const path = await pulling.pull({ type: undefined });
    expect(path).toBe(pulling.cache('snapshots', COMMIT, 'model.gguf'));
    expect((await readFile(path)).equals(MODEL)).toBe(true);
    expect(findPulled(`hf:${REPOSITORY}`, pulling.env)).toBe(path);
    pulling.hub.requests.length = 0;
    expect(await pulling.pull({ type: undefined })).toBe(path);
    expect(pulling.hub.asked.filter((asked) => asked.includes('resolve'))).toEqual([]);
    expect(await pulling.pull({ type: undefined }, REPOSITORY, { HF_HUB_OFFLINE: '1' })).toBe(path);
  });

  test('of several the type says which', async () => {
    const other = Buffer.from('not this one');
    const files = { 'm-Q4_K_M.gguf': other, 'm-Q8_0.gguf': MODEL, 'm-Q4_0.gguf': other, 'm-f16.gguf': other };
    const pulling = await withFiles(files);
    expect(await pulling.pull({ type: 'q8_0' })).toMatch(/m-Q8_0\.gguf$/);
    expect(findPulled(`hf:${REPOSITORY}:q8_0`, pulling.env)).toMatch(/m-Q8_0\.gguf$/);
    await expect(pulling.pull({ type: 'q6_k' })).rejects.toEqual(
      failure(
        'ERR_XGENMM_INVALID_ARGUMENT',
        /"q6_k", which fits 0 of m-Q4_K_M\.gguf, m-Q8_0\.gguf, m-Q4_0\.gguf/,
      ),
    );
  });

  test('where the type fits two, all are listed', async () => {
    const pulling = await withFiles({ 'a-q8_0.gguf': MODEL, 'b-q8_0.gguf': MODEL });
    await expect(pulling.pull({ type: 'q8_0' })).rejects.toEqual(
      failure(
        'ERR_XGENMM_INVALID_ARGUMENT',
        /fits 2 of a-q8_0\.gguf, b-q8_0\.gguf; name another type, or give the URL/,
      ),
    );
  });

  test.each(['resolve', 'blob'])('the URL of a file says which, /%s/', async (kind) => {
    const pulling = await withFiles({ 'a.gguf': MODEL, 'sub folder/b#1.gguf': MODEL });
    const url = `${pulling.hub.endpoint}/${REPOSITORY}/${kind}/main/sub%20folder/b%231.gguf?download=true`;
    const path = await pulling.pull({ type: undefined }, url);
    expect(path).toBe(pulling.cache('snapshots', COMMIT, 'sub folder', 'b#1.gguf'));
    expect((await readFile(path)).equals(MODEL)).toBe(true);
  });

  test('a URL of a file that is not there', async () => {
    const pulling = await withFiles({ 'a.gguf': MODEL });
    const url = `${pulling.hub.endpoint}/${REPOSITORY}/resolve/main/b.gguf`;
    await expect(pulling.pull({}, url)).rejects.toEqual(
      failure('ERR_XGENMM_DOWNLOAD', /no file of that name/),
    );
  });

  test('what is for checkpoints is refused', async () => {
    const pulling = await withFiles({ 'a.gguf': MODEL });
    await expect(pulling.pull({ type: undefined, vision: 'q8_0' })).rejects.toEqual(
      failure('ERR_XGENMM_INVALID_ARGUMENT', /vision, received the GGUF file a\.gguf/),
    );
  });

  test('the name speaks of the language model, whatever the parts that see are stored in', async () => {
    const pulling = await withFiles({
      'm-Q4_K_M-vision-F16.gguf': MODEL,
      'm-Q8_0-vision-Q8_0-resampler-F16.gguf': Buffer.from('not this one'),
    });
    await expect(pulling.pull({ type: 'f16' })).rejects.toEqual(
      failure('ERR_XGENMM_INVALID_ARGUMENT', /"f16", which fits 0 of/),
    );
    const url = `${pulling.hub.endpoint}/${REPOSITORY}/resolve/main/m-Q4_K_M-vision-F16.gguf`;
    const path = await pulling.pull({ type: undefined }, url);
    expect(findPulled(`hf:${REPOSITORY}:q4_k_m`, pulling.env)).toBe(path);
    expect(() => findPulled(`hf:${REPOSITORY}:f16`, pulling.env)).toThrow(
      failure('ERR_XGENMM_FILE_NOT_FOUND'),
    );
    await expect(pulling.pull({ type: 'q8_0' }, url)).rejects.toEqual(
      failure('ERR_XGENMM_INVALID_ARGUMENT', /Expected q4_k_m or none .*received "q8_0"/),
    );
  });

  test('an output that is a folder is refused before the download', async () => {
    const pulling = await withFiles({ 'a.gguf': MODEL });
    await expect(pulling.pull({ type: undefined, output: pulling.home })).rejects.toEqual(
      failure('ERR_XGENMM_WRITE_FAILED', /the name of a file as output/),
    );
    expect(pulling.hub.asked.filter((asked) => asked.includes('resolve'))).toEqual([]);
  });

  test('a piece of a split file is refused', async () => {
    const pulling = await withFiles({ 'a-00001-of-00002.gguf': MODEL });
    await expect(pulling.pull({ type: undefined })).rejects.toEqual(
      failure('ERR_XGENMM_MODEL_UNSUPPORTED', /split/),
    );
  });

  test('a file that is no model is an error, and the earlier output stays', async () => {
    const pulling = await withFiles({ 'a.gguf': Buffer.from('GGUF, they say') });
    const output = join(pulling.home, 'out.gguf');
    await writeFile(output, 'old');
    await expect(pulling.pull({ type: undefined, output })).rejects.toEqual(
      failure('ERR_XGENMM_MODEL_INVALID'),
    );
    expect(await readFile(output, 'utf8')).toBe('old');
  });

  test('--output copies it', async () => {
    const pulling = await withFiles({ 'a.gguf': MODEL });
    const output = join(pulling.home, 'new', 'out.gguf');
    expect(await pulling.pull({ type: undefined, output })).toBe(output);
    expect((await readFile(output)).equals(MODEL)).toBe(true);
    expect((await stat(output)).nlink).toBe(1);
  });
});

describe('a GGUF file elsewhere', () => {
  /** A server of one file, whose answer may be changed on the way. */
  async function elsewhere(
    answer: RequestListener,
  ): Promise<{ url: string; ranges: (string | undefined)[] }> {
    const ranges: (string | undefined)[] = [];
    const server = createServer((request, response) => {
      ranges.push(request.headers.range);
      answer(request, response);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => {
      server.close();
      server.closeAllConnections();
    });
    const { port } = server.address() as AddressInfo;
    return { url: `http://127.0.0.1:${port}/models/some%20model.gguf?key=secret`, ranges };
  }

  test('is downloaded, inspected, and not downloaded again until it changes', async () => {
    const pulling = await Pulling.start();
    let [bytes, etag] = [MODEL, 'one'];
    const { url, ranges } = await elsewhere((request, response) => sendFile(request, response, bytes, etag));
    const path = await pulling.pull({}, url);
    expect(path).toMatch(/xgen-mm.urls.[0-9a-f]{16}.some model\.gguf$/);
    expect((await readFile(path)).equals(MODEL)).toBe(true);
    expect(await pulling.pull({}, url)).toBe(path);
    expect(ranges).toEqual(['bytes=0-0', undefined, 'bytes=0-0']);
    [bytes, etag] = [await readFile(modelFile('tiny-bf16')), 'two'];
    await pulling.pull({}, url);
    expect((await readFile(path)).equals(bytes)).toBe(true);
    expect(await pulling.pull({}, url, { HF_HUB_OFFLINE: '1' })).toBe(path);
    expect((await readdir(join(path, '..'))).sort()).toEqual(['some model.gguf', 'some model.gguf.state']);
  });

  test('is gone on with as long as its ETag is the same', async () => {
    const pulling = await Pulling.start();
    let cut: number | undefined = 5000;
    let etag = 'one';
    const { url, ranges } = await elsewhere((request, response) => {
      const departure = request.headers.range === 'bytes=0-0' || cut === undefined ? {} : { cut };
      sendFile(request, response, MODEL, etag, departure);
    });
    await expect(pulling.pull({}, url, {}, { attempts: 2 })).rejects.toEqual(failure('ERR_XGENMM_DOWNLOAD'));
    cut = undefined;
    ranges.length = 0;
    await pulling.pull({}, url);
    expect(ranges).toEqual(['bytes=0-0', 'bytes=10000-']);

    await rm(join(pulling.home, 'xgen-mm'), { recursive: true });
    cut = 5000;
    await expect(pulling.pull({}, url, {}, { attempts: 2 })).rejects.toEqual(failure('ERR_XGENMM_DOWNLOAD'));
    [cut, etag] = [undefined, 'two'];
    ranges.length = 0;
    await pulling.pull({}, url);
    expect(ranges).toEqual(['bytes=0-0', undefined]);
  });

  test('that changes between two answers is fetched from its beginning', async () => {
    const pulling = await Pulling.start();
    let etag = 'one';
    const { url } = await elsewhere((request, response) => {
      if (request.headers.range !== undefined) return sendFile(request, response, MODEL, etag);
      etag = 'two';
      sendFile(request, response, Buffer.alloc(MODEL.length), 'one', { cut: 5000 });
    });
    const path = await pulling.pull({}, url);
    expect((await readFile(path)).equals(MODEL)).toBe(true);
  });

  test.each<[string, Record<string, string>]>([
    ['a weak ETag', { etag: 'W/"one"' }],
    ['no ETag', { etag: '' }],
  ])('with %s is never put together from two answers', async (_, headers) => {
    const pulling = await Pulling.start();
    let broken = false;
    const { url, ranges } = await elsewhere((request, response) => {
      const cut = broken || request.headers.range !== undefined ? {} : { cut: 5000 };
      broken ||= request.headers.range === undefined;
      sendFile(request, response, MODEL, 'one', { ...cut, headers });
    });
    const path = await pulling.pull({}, url);
    expect((await readFile(path)).equals(MODEL)).toBe(true);
    expect(ranges).toEqual(['bytes=0-0', undefined, undefined]);
  });

  test.each<[string, PullOptions]>([
    ['vision', { vision: 'q8_0' }],
    ['resampler', { resampler: 'f16' }],
    ['variant', { variant: 'base' }],
    ['imatrix', { imatrix: 'none.gguf' }],
    ['the revision of a URL outside the hub', { revision: 'v1' }],
  ])('does not heed %s, and says so', async (name, options) => {
    const pulling = await Pulling.start();
    const { url, ranges } = await elsewhere((_, response) => response.end());
    await expect(pulling.pull({ type: undefined, ...options }, url)).rejects.toEqual(
      failure('ERR_XGENMM_INVALID_ARGUMENT', new RegExp(`for ${name}, received`)),
    );
    expect(ranges).toEqual([]);
  });

  test('that is empty is an error at once', async () => {
    const pulling = await Pulling.start();
    const { url, ranges } = await elsewhere((request, response) =>
      sendFile(request, response, Buffer.alloc(0), 'x', { headers: { 'content-length': '0' } }),
    );
    await expect(pulling.pull({}, url)).rejects.toEqual(failure('ERR_XGENMM_DOWNLOAD'));
    const other = await elsewhere((_, response) => response.writeHead(416).end('nothing is in it'));
    await expect(pulling.pull({}, other.url)).rejects.toEqual(
      failure('ERR_XGENMM_DOWNLOAD', /received an empty file/),
    );
    expect([ranges, other.ranges]).toEqual([['bytes=0-0'], ['bytes=0-0']]);
  });

  test('gets no token', async () => {
    const pulling = await Pulling.start();
    const sent: unknown[] = [];
    const { url } = await elsewhere((request, response) => {
      sent.push(request.headers.authorization);
      sendFile(request, response, MODEL, 'one');
    });
    await pulling.pull({}, url, { HF_TOKEN: 'hf_secret' });
    expect(sent).toEqual([undefined, undefined]);
  });

  test('that is no model leaves nothing behind', async () => {
    const pulling = await Pulling.start();
    const { url } = await elsewhere((request, response) =>
      sendFile(request, response, Buffer.alloc(5000), 'one'),
    );
    const output = join(pulling.home, 'out.gguf');
    await writeFile(output, 'old');
    await expect(pulling.pull({ output }, url)).rejects.toEqual(failure('ERR_XGENMM_MODEL_INVALID'));
    expect(await readFile(output, 'utf8')).toBe('old');
    const left = await readdir(join(pulling.home, 'xgen-mm'), { recursive: true });
    expect(left.filter((name) => /gguf(\.incomplete)?$/.test(name))).toEqual([]);
  });

  test.each<[string, RequestListener, RegExp]>([
    [
      'no length',
      (_, response) => response.writeHead(200).end('GGUF'),
      /Expected the length of some model\.gguf/,
    ],
    ['404', (_, response) => response.writeHead(404).end(), /status 404: look at the URL$/],
    ['403', (_, response) => response.writeHead(403).end(), /status 403: the server wants to know who asks/],
  ])('%s is an error that does not repeat the query', async (_, answer, message) => {
    const pulling = await Pulling.start();
    const { url } = await elsewhere(answer);
    const error = await pulling.pull({}, url).catch((error) => error);
    expect(error).toEqual(failure('ERR_XGENMM_DOWNLOAD', message));
    expect(error.message + pulling.notes).not.toContain('secret');
  });
});
