import { describe, expect, test } from 'vitest';
import { failure } from '../failure.js';
import { refuse } from './hub-server.js';
import { Pulling } from './pulling.js';

const DONE = /F16\.gguf$/;

describe('statuses', () => {
  test.each([500, 502, 503, 504, 429])('%i passes', async (status) => {
    const pulling = await Pulling.start();
    pulling.hub.interject(/revision/, (_, response) => refuse(response, status));
    pulling.hub.interject(/\/cdn\//, (_, response) => refuse(response, status), 2);
    expect(await pulling.pull()).toMatch(DONE);
  });

  test('429 waits as long as the server asks', async () => {
    const pulling = await Pulling.start();
    pulling.hub.interject(/\/cdn\//, (_, response) =>
      refuse(response, 429, undefined, { 'retry-after': '1' }),
    );
    const begin = performance.now();
    expect(await pulling.pull()).toMatch(DONE);
    expect(performance.now() - begin).toBeGreaterThan(1000);
    expect(pulling.notes).toContainEqual(expect.stringMatching(/too many requests.*again in 1\.0 s/));
  });

  test('429 for longer than anybody waits is an error that says so', async () => {
    const pulling = await Pulling.start();
    const date = new Date(Date.now() + 3_600_000).toUTCString();
    pulling.hub.interject(/revision/, (_, response) =>
      refuse(response, 429, undefined, { 'retry-after': date }),
    );
    await expect(pulling.pull()).rejects.toEqual(
      failure(
        'ERR_XGENMM_DOWNLOAD',
        /too many requests, wait 3[56]\d\d s; with HF_TOKEN the limits are higher; run/,
      ),
    );
  });

  test.each<[string, number, string | undefined, RegExp, RegExp]>([
    [
      'a gated repository',
      403,
      'GatedRepo',
      /resolve/,
      /gated or private; accept its licence at http.*\/acme\/tiny.*HF_TOKEN/,
    ],
    ['a gated repository without a token', 401, 'GatedRepo', /resolve/, /accept its licence.*HF_TOKEN/],
    ['a missing repository', 401, 'RepoNotFound', /revision/, /no acme\/tiny.*spelling.*HF_TOKEN/],
    ['a missing file', 404, 'EntryNotFound', /resolve/, /no such file; .*\/tree\/main lists/],
    ['a teapot', 418, undefined, /resolve/, /received status 418$/],
  ])('%s is an error at once', async (_, status, code, match, message) => {
    const pulling = await Pulling.start();
    pulling.hub.interject(match, (_, response) => refuse(response, status, code));
    await expect(pulling.pull()).rejects.toEqual(failure('ERR_XGENMM_DOWNLOAD', message));
    expect(pulling.notes.filter((note) => note.includes('again'))).toEqual([]);
  });
});
