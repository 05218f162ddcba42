import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { Connection, PATIENCE } from '../../lib/pull/connection.js';
import { readHubSettings } from '../../lib/pull/hub-settings.js';
import { failure } from '../failure.js';
import { COMMIT, listing, REPOSITORY, refuse, type ServedRepository, sendJson } from './hub-server.js';
import { Pulling } from './pulling.js';

const TOKEN = 'hf_SecretSecretSecret';
const DONE = /F16\.gguf$/;

afterEach(() => vi.unstubAllGlobals());

/** The `authorization` of all requests to one of the two origins. */
function credentials(pulling: Pulling, cdn: boolean): unknown[] {
  const sent = pulling.hub.requests.filter((request) => request.cdn === cdn);
  return [...new Set(sent.map(({ headers }) => headers.authorization))];
}

describe('the token', () => {
  test('goes to the hub and to nobody it redirects to', async () => {
    const pulling = await Pulling.start();
    await pulling.pull({}, REPOSITORY, { HF_TOKEN: TOKEN });
    expect(credentials(pulling, false)).toEqual([`Bearer ${TOKEN}`]);
    expect(credentials(pulling, true)).toEqual([undefined]);
  });

  test.each([
    ['from $HF_HOME/token', (home: string) => [join(home, 'token'), {}] as const],
    [
      'from HF_TOKEN_PATH',
      (home: string) => [join(home, 'mine'), { HF_TOKEN_PATH: join(home, 'mine') }] as const,
    ],
  ])('%s', async (_, place) => {
    const pulling = await Pulling.start();
    const [path, env] = place(pulling.home);
    await writeFile(path, `${TOKEN}\n`);
    await pulling.pull({}, REPOSITORY, env);
    expect(credentials(pulling, false)).toEqual([`Bearer ${TOKEN}`]);
  });

  test('is not sent at all with HF_HUB_DISABLE_IMPLICIT_TOKEN', async () => {
    const pulling = await Pulling.start();
    await pulling.pull({}, REPOSITORY, { HF_TOKEN: TOKEN, HF_HUB_DISABLE_IMPLICIT_TOKEN: '1' });
    expect(credentials(pulling, false)).toEqual([undefined]);
  });

  test('follows redirects within the hub, and comes back after one that leads through another host', async () => {
    const pulling = await Pulling.start();
    const { hub } = pulling;
    hub.interject(/config\.json/, (_, response) => response.writeHead(307, { location: '/elsewhere' }).end());
    hub.interject(/elsewhere/, (_, response) =>
      response.writeHead(302, { location: `${hub.cdn}/cdn/back` }).end(),
    );
    hub.interject(/back/, (_, response) => {
      response
        .writeHead(302, { location: `${hub.endpoint}/${REPOSITORY}/resolve/${COMMIT}/config.json` })
        .end();
    });
    expect(await pulling.pull({}, REPOSITORY, { HF_TOKEN: TOKEN })).toMatch(DONE);
    expect(credentials(pulling, true)).toEqual([undefined]);
    expect(hub.requests.find(({ path }) => path === '/elsewhere')?.headers.authorization).toBe(
      `Bearer ${TOKEN}`,
    );
  });

  test('does not follow the next page of a list to another host', async () => {
    const pulling = await Pulling.start();
    const { hub } = pulling;
    const entries = listing(hub.repositories.get(REPOSITORY) as ServedRepository, '');
    hub.interject(/tree/, (_, response) => {
      sendJson(response, entries.slice(0, 2), { link: `<${hub.cdn}/api/page2>; rel="next"` });
    });
    hub.interject(/page2/, (_, response) => sendJson(response, entries.slice(2)));
    expect(await pulling.pull({}, REPOSITORY, { HF_TOKEN: TOKEN })).toMatch(DONE);
    expect(credentials(pulling, true)).toEqual([undefined]);
  });

  test('is in no message', async () => {
    const pulling = await Pulling.start();
    for (const [status, code] of [[401], [403, 'GatedRepo'], [404], [429], [500]] as const) {
      pulling.hub.interject(/revision/, (_, response) => refuse(response, status, code), 9);
      const error = (await pulling
        .pull({}, REPOSITORY, { HF_TOKEN: TOKEN })
        .catch((error) => error)) as Error;
      expect(error).toEqual(failure('ERR_XGENMM_DOWNLOAD'));
      expect(`${error.stack} ${JSON.stringify(error)} ${error.cause}`).not.toContain('Secret');
      for (let left = 0; left < 9; left++) await fetch(`${pulling.hub.endpoint}/revision`);
    }
    expect(pulling.notes.join()).not.toContain('Secret');
    expect(() => readHubSettings({ HF_TOKEN: `${TOKEN}\nx` })).toThrow(
      failure('ERR_XGENMM_INVALID_ARGUMENT', /^(?!.*Secret).*HF_TOKEN/),
    );
    expect(() => readHubSettings({ HF_ENDPOINT: `https://me:${TOKEN}@hub` })).toThrow(
      failure('ERR_XGENMM_INVALID_ARGUMENT', /^(?!.*Secret).*HF_ENDPOINT/),
    );
  });

  test('is not valid (any more)', async () => {
    const pulling = await Pulling.start();
    pulling.hub.interject(/revision/, (_, response) => refuse(response, 401));
    await expect(pulling.pull({}, REPOSITORY, { HF_TOKEN: TOKEN })).rejects.toEqual(
      failure('ERR_XGENMM_DOWNLOAD', /the token is not valid.*HF_TOKEN/),
    );
  });
});

describe('redirects', () => {
  test('that go round in circles are left', async () => {
    const pulling = await Pulling.start();
    const { hub } = pulling;
    hub.interject(
      /resolve/,
      (request, response) => response.writeHead(302, { location: request.url }).end(),
      99,
    );
    await expect(pulling.pull()).rejects.toEqual(failure('ERR_XGENMM_DOWNLOAD', /more than 10 redirects/));
    expect(hub.asked.filter((path) => path.includes('resolve'))).toHaveLength(11);
  });

  test.each(['file:///etc/passwd', 'ftp://host/x', 'http://a:b@host/', 'http://', 'data:,x'])(
    'to %s are not followed',
    async (location) => {
      const pulling = await Pulling.start();
      pulling.hub.interject(/resolve/, (_, response) => response.writeHead(302, { location }).end());
      await expect(pulling.pull()).rejects.toEqual(
        failure('ERR_XGENMM_DOWNLOAD', /a redirect to something else/),
      );
    },
  );

  test('from https to http are not followed', async () => {
    const asked: string[] = [];
    vi.stubGlobal('fetch', async (url: URL) => {
      asked.push(url.href);
      return new Response(null, { status: 302, headers: { location: 'http://127.0.0.1/x' } });
    });
    const settings = readHubSettings({ HF_HOME: 'nowhere' });
    const connection = new Connection(settings, PATIENCE, () => {}, undefined);
    await expect(connection.open(new URL('https://huggingface.co/x'), {}, { what: 'x' })).rejects.toEqual(
      failure('ERR_XGENMM_DOWNLOAD', /from https to http, at "127\.0\.0\.1"/),
    );
    expect(asked).toEqual(['https://huggingface.co/x']);
  });
});
