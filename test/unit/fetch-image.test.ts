import { once } from 'node:events';
import { createServer } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type FetchLimits, fetchImage } from '../../lib/fetch-image.js';
import { isPrivateAddress } from '../../lib/private-address.js';
import { PictureServer } from './picture-server.js';
import { expectNoUnhandledRejections } from './rejections.js';

expectNoUnhandledRejections();

const BYTES = Buffer.from('the bytes of a picture');
/** One address of this machine counts as public, and none else. */
const OPEN: Partial<FetchLimits> = { isPrivate: (address) => address !== '127.0.0.1' };

let server: PictureServer;
beforeAll(async () => {
  server = await PictureServer.start({
    '/a.png': (_, response) => response.end(BYTES),
    '/none': (_, response) => response.end(),
    '/chunked': (_, response) => {
      response.write(BYTES.subarray(0, 9));
      response.end(BYTES.subarray(9));
    },
    '/short': (_, response) => {
      response.writeHead(200, { 'content-length': 100 });
      response.write(BYTES, () => response.destroy());
    },
    '/endless': (_, response) => {
      const more = (): unknown => !response.destroyed && response.write(Buffer.alloc(1000), more);
      more();
    },
    '/silent': () => {},
    '/announced': (_, response) => response.writeHead(200, { 'content-length': 101 }).flushHeaders(),
    '/stuck': (_, response) => void response.write('x'),
    '/gzip': (_, response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(BYTES),
    '/partial': (_, response) => response.writeHead(206).end(BYTES),
    '/redirect/1': (_, response) => response.writeHead(301, { location: '/a.png' }).end('moved'),
    '/redirect/2': (_, response) => response.writeHead(302, { location: '1' }).end(),
    '/redirect/3': (_, response) =>
      response.writeHead(307, { location: server.url('/redirect/2').href }).end(),
    '/redirect/4': (_, response) => response.writeHead(308, { location: '/redirect/3' }).end(),
    '/loop': (_, response) => response.writeHead(303, { location: '/loop' }).end(),
    '/nowhere': (_, response) => response.writeHead(302).end(),
    '/ill-formed': (_, response) => response.writeHead(302, { location: 'http://[' }).end(),
    '/file': (_, response) => response.writeHead(302, { location: 'file:///etc/passwd' }).end(),
    '/inside': (_, response) => response.writeHead(302, { location: 'http://127.0.0.2/' }).end(),
    '/named-inside': (_, response) =>
      response.writeHead(302, { location: server.url('/a.png', 'localhost').href }).end(),
    '/credentials': (_, response) =>
      response.writeHead(302, { location: 'http://me:secret@127.0.0.1/' }).end(),
  });
});
afterAll(() => server.stop());
beforeEach(() => {
  server.requests.length = 0;
});

/** Expects a fetch to fail with one sentence, the URL and the reason in it. */
async function expectFailure(url: URL, reason: RegExp, limits: Partial<FetchLimits> = {}): Promise<void> {
  const error = await fetchImage(url, undefined, { ...OPEN, ...limits }).catch((error) => error);
  expect(error).toMatchObject({
    name: 'XgenmmError',
    code: 'ERR_XGENMM_IMAGE_FETCH',
    message: expect.stringMatching(/^Expected a picture at "http.*", received /),
  });
  expect(error.message).toMatch(reason);
  expect(error.message).not.toContain('secret');
}

describe('a picture', () => {
  test.each(['/a.png', '/chunked', '/redirect/1', '/redirect/3'])('%s', async (path) => {
    expect(await fetchImage(server.url(path), undefined, OPEN)).toEqual(BYTES);
  });

  test('by a name, with a path, a query and no more than is needed', async () => {
    const limits = { isPrivate: () => false };
    const url = server.url('/a.png', 'localhost');
    // localhost may be ::1 too, where nobody listens: the connection then takes the other address.
    expect(await fetchImage(url, undefined, limits)).toEqual(BYTES);
    expect(server.requests[0]?.headers).toMatchObject({
      host: url.host,
      accept: 'image/*',
      'accept-encoding': 'identity',
    });
  });

  test('of exactly as many bytes as are allowed', async () => {
    for (const path of ['/a.png', '/chunked']) {
      const limits = { ...OPEN, maxBytes: BYTES.length };
      expect(await fetchImage(server.url(path), undefined, limits)).toEqual(BYTES);
    }
    expect(await fetchImage(server.url('/none'), undefined, OPEN)).toHaveLength(0);
  });
});

describe('what is not taken', () => {
  test.each<[string, RegExp]>([
    ['/missing', /received status 404$/],
    ['/partial', /received status 206$/],
    ['/nowhere', /received status 302$/],
    ['/short', /received ECONNRESET$/],
    ['/gzip', /received content-encoding "gzip"$/],
    ['/loop', /\/loop", received more than 3 redirects$/],
    ['/redirect/4', /\/redirect\/4", received more than 3 redirects$/],
    ['/ill-formed', /\/ill-formed", received a redirect to something else than an http or https URL$/],
    ['/file', /\/file", received a redirect to something else than an http or https URL$/],
    ['/inside', /127\.0\.0\.2.*received a host whose address is not public$/],
    ['/credentials', /received a URL with a user name or password$/],
  ])('%s', (path, reason) => expectFailure(server.url(path), reason));

  test('more bytes than allowed, announced or not', async () => {
    await expectFailure(server.url('/a.png'), /received more than 21 bytes$/, { maxBytes: BYTES.length - 1 });
    await expectFailure(server.url('/announced'), /received more than 100 bytes$/, { maxBytes: 100 });
    await expectFailure(server.url('/endless'), /received more than 100000 bytes$/, { maxBytes: 100_000 });
  });

  test.each(['/silent', '/stuck'])('too slow: %s', async (path) => {
    await expectFailure(server.url(path), /received nothing whole within 0.05 s$/, { timeoutMs: 50 });
  });

  test('nobody there', async () => {
    const unused = createServer().listen(0, '127.0.0.1');
    await once(unused, 'listening');
    const { port } = unused.address() as { port: number };
    unused.close();
    await once(unused, 'close');
    await expectFailure(
      new URL(`http://127.0.0.1:${port}/a.png?key=secret`),
      /a\.png", received ECONNREFUSED$/,
    );
  });

  test('not the protocol that the server speaks', async () => {
    const url = server.url('/a.png');
    url.protocol = 'https:';
    await expectFailure(url, /received \w+/);
    expect(server.requests).toEqual([]);
  });

  test('credentials', async () => {
    const url = server.url('/a.png');
    url.password = 'secret';
    await expectFailure(url, /received a URL with a user name or password$/);
    expect(server.requests).toEqual([]);
  });
});

describe('addresses that are not public', () => {
  test.each([
    ...[
      '127.0.0.1',
      '127.1',
      '0x7f.1',
      '0177.0.0.1',
      '2130706433',
      '0x7f000001',
      '127.0.0.1.',
      '１２７.0.0.1',
    ],
    ...[
      '[::1]',
      '[::ffff:127.0.0.1]',
      '[::ffff:7f00:1]',
      '[0:0:0:0:0:0:0:1]',
      '[64:ff9b::7f00:1]',
      '[2002:7f00:1::]',
    ],
    ...['0', '0.0.0.0', '[::]', '10.1.2.3', '169.254.169.254', '192.168.1.1', '[fe80::1]', '[fd00:ec2::254]'],
  ])('%s', async (host) => {
    await expectFailure(server.url('/a.png', host), /received a host whose address is not public$/, {
      isPrivate: isPrivateAddress,
    });
    expect(server.requests).toEqual([]);
  });

  test('a name that resolves to one', async () => {
    const { message } = await fetchImage(server.url('/a.png', 'localhost'), undefined).catch(
      (error) => error,
    );
    expect(message).toMatch(/received a host whose address is not public$/);
    expect(server.requests).toEqual([]);
  });

  test('a redirect to a name that resolves to one', async () => {
    let checks = 0;
    const isPrivate = () => checks++ > 0;
    await expectFailure(
      server.url('/named-inside'),
      /localhost.*received a host whose address is not public$/,
      {
        isPrivate,
      },
    );
    expect(server.requests).toHaveLength(1);
  });

  test('a name is judged by what it resolves to, on the way to the connection', async () => {
    const checked: string[] = [];
    const isPrivate = (address: string) => {
      checked.push(address);
      return false;
    };
    await fetchImage(server.url('/a.png', 'localhost'), undefined, { isPrivate });
    expect(checked).toContain('127.0.0.1');
    expect(server.requests).toHaveLength(1);
  });
});

describe('a signal', () => {
  test('that aborted before', async () => {
    const reason = new Error('no');
    await expect(fetchImage(server.url('/a.png'), AbortSignal.abort(reason), OPEN)).rejects.toBe(reason);
    expect(server.requests).toEqual([]);
  });

  test.each(['/silent', '/stuck'])('ends a fetch, and the connection: %s', async (path) => {
    const controller = new AbortController();
    const reason = new Error('enough');
    const fetching = fetchImage(server.url(path), controller.signal, OPEN);
    const failed = expect(fetching).rejects.toBe(reason);
    while (server.requests.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    const { socket } = server.requests[0] ?? {};
    if (socket === undefined) throw new Error('no request');
    // Not by once(): what the client has not read yet makes the end a reset, which is an end as well.
    const closed = new Promise((resolve) => socket.once('close', resolve));
    controller.abort(reason);
    await failed;
    await closed;
  });
});
