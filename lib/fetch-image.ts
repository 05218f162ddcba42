import { lookup } from 'node:dns';
import { type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { linkedController, orAborted } from './abort.js';
import { XgenmmError } from './errors.js';
import { describe } from './options.js';
import { isPrivateAddress } from './private-address.js';

/** What a fetch may take, and whom it may ask. */
export interface FetchLimits {
  maxBytes: number;
  /** For everything together, redirects included. */
  timeoutMs: number;
  maxRedirects: number;
  /** IP addresses that are not connected to. */
  isPrivate(address: string): boolean;
}

const LIMITS: FetchLimits = {
  maxBytes: 50 * 2 ** 20,
  timeoutMs: 30_000,
  maxRedirects: 3,
  isPrivate: isPrivateAddress,
};

const REDIRECTS = [301, 302, 303, 307, 308];

/**
 * The bytes at an http(s) URL, within limits that protect the network around this process as well. Rejects with `signal.reason` or
 * ERR_XGENMM_IMAGE_FETCH.
 */
export async function fetchImage(
  url: URL,
  signal: AbortSignal | undefined,
  limits: Partial<FetchLimits> = {},
): Promise<Uint8Array> {
  const all = { ...LIMITS, ...limits };
  const { controller, release } = linkedController(signal);
  const late = () => controller.abort(fetchError(url, `nothing whole within ${all.timeoutMs / 1000} s`));
  const timer = setTimeout(late, all.timeoutMs);
  try {
    // A name that is being resolved cannot be let go of, but nobody has to wait for it.
    return await orAborted(download(url, controller.signal, all), controller.signal);
  } catch (error) {
    controller.signal.throwIfAborted();
    if (error instanceof XgenmmError) throw error;
    throw fetchError(url, reasonOf(error), error);
  } finally {
    clearTimeout(timer);
    release();
  }
}

async function download(start: URL, signal: AbortSignal, limits: FetchLimits): Promise<Uint8Array> {
  let url = start;
  for (let redirects = 0; ; redirects++) {
    assertAllowed(url, limits);
    const response = await request(url, signal, limits);
    try {
      const { statusCode = 0, headers } = response;
      if (!REDIRECTS.includes(statusCode) || headers.location === undefined)
        return await readBody(url, response, limits.maxBytes);
      if (redirects === limits.maxRedirects) throw fetchError(start, `more than ${redirects} redirects`);
      url = redirected(url, headers.location);
    } finally {
      response.destroy();
    }
  }
}

function redirected(url: URL, location: string): URL {
  const target = URL.canParse(location, url.href) ? new URL(location, url) : undefined;
  if (target?.protocol === 'http:' || target?.protocol === 'https:') return target;
  throw fetchError(url, 'a redirect to something else than an http or https URL');
}

function assertAllowed(url: URL, limits: FetchLimits): void {
  if (url.username !== '' || url.password !== '') throw fetchError(url, 'a URL with a user name or password');
  // An IP address is connected to without a lookup. The URL parser has brought all its notations into one.
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (isIP(host) !== 0 && limits.isPrivate(host)) throw privateError(url);
}

function request(url: URL, signal: AbortSignal, limits: FetchLimits): Promise<IncomingMessage> {
  const send: typeof requestHttp = url.protocol === 'https:' ? requestHttps : requestHttp;
  const options = {
    // A pooled connection was made without this lookup.
    agent: false,
    lookup: publicLookup(url, limits),
    signal,
    headers: { accept: 'image/*', 'accept-encoding': 'identity', 'user-agent': 'xgen-mm' },
  };
  return new Promise((resolve, reject) => {
    send(url, options, resolve).on('error', reject).end();
  });
}

/** Resolves names for the connection itself, so that what was checked is what is connected to. */
function publicLookup(url: URL, limits: FetchLimits): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) return callback(error, []);
      if (addresses.some(({ address }) => limits.isPrivate(address))) return callback(privateError(url), []);
      if (options.all) return callback(null, addresses);
      const { address = '', family } = addresses[0] ?? {};
      callback(null, address, family);
    });
  };
}

async function readBody(url: URL, response: IncomingMessage, maxBytes: number): Promise<Uint8Array> {
  const { statusCode, headers } = response;
  if (statusCode !== 200) throw fetchError(url, `status ${statusCode}`);
  const encoding = headers['content-encoding'] ?? 'identity';
  if (encoding.toLowerCase() !== 'identity') throw fetchError(url, `content-encoding ${describe(encoding)}`);
  const tooLarge = `more than ${maxBytes} bytes`;
  if (Number(headers['content-length']) > maxBytes) throw fetchError(url, tooLarge);
  const chunks: Buffer[] = [];
  let received = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    received += chunk.length;
    if (received > maxBytes) throw fetchError(url, tooLarge);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, received);
}

function privateError(url: URL): XgenmmError {
  return fetchError(url, 'a host whose address is not public');
}

/** Neither credentials nor a query, which may hold keys, are repeated. */
function fetchError(url: URL, received: string, cause?: unknown): XgenmmError {
  return new XgenmmError(
    'ERR_XGENMM_IMAGE_FETCH',
    `Expected a picture at ${describe(`${url.protocol}//${url.host}${url.pathname}`)}, received ${received}`,
    cause === undefined ? {} : { cause },
  );
}

function reasonOf(error: unknown): string {
  const { code, message } = error as { code?: string; message?: string };
  return code ?? message ?? String(error);
}
