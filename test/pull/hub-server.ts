import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fixture } from '../files.js';

export const COMMIT = '0123456789abcdef0123456789abcdef01234567';
export const REPOSITORY = 'acme/tiny-instruct-interleave';

/** Answers a request in place of the server; `serve` is what it would have done. */
export type Interjection = (request: IncomingMessage, response: ServerResponse, serve: () => void) => void;

export interface ServedRepository {
  /** By branch or tag. */
  refs: Record<string, string>;
  files: Map<string, Buffer>;
}

/** How an answer with a file's bytes departs from what it should be. */
export interface Departure {
  /** The connection breaks after so many bytes of the body. */
  cut?: number;
  /** It breaks so that what was written may be lost. */
  reset?: boolean;
  /** The body stops coming after so many bytes. */
  stall?: number;
  ignoreRange?: boolean;
  headers?: Record<string, string>;
}

/** The hub's routes that a pull uses, on this machine, and a second origin that large files are redirected to. */
export class HubServer {
  /** What was asked for, in order; `cdn`: at the second origin. */
  readonly requests: { path: string; cdn: boolean; headers: IncomingMessage['headers'] }[] = [];
  readonly repositories = new Map<string, ServedRepository>();
  readonly #interjections: { match: RegExp; times: number; answer: Interjection }[] = [];
  #closed: string | undefined;
  readonly #hub: Server;
  readonly #cdn: Server;

  private constructor() {
    this.#hub = createServer((request, response) => this.#receive(request, response, false));
    this.#cdn = createServer((request, response) => this.#receive(request, response, true));
  }

  /** Serves `test/fixtures/tiny` as {@link REPOSITORY}. */
  static async start(): Promise<HubServer> {
    const server = new HubServer();
    for (const part of [server.#hub, server.#cdn]) {
      part.listen(0, '127.0.0.1');
      await once(part, 'listening');
    }
    const names = readdirSync(fixture('tiny'));
    const files = new Map(names.map((name) => [name, readFileSync(join(fixture('tiny'), name))]));
    // What no pull should ever touch.
    files.set('pytorch_model.bin', Buffer.from('a pickle'));
    files.set('modeling_xgenmm.py', Buffer.from('code'));
    server.repositories.set(REPOSITORY, { refs: { main: COMMIT }, files });
    return server;
  }

  /** Ends everything; where the hub was, nothing listens any more. */
  async stop(): Promise<void> {
    this.#closed = this.endpoint;
    for (const part of [this.#hub, this.#cdn]) {
      const closed = once(part, 'close');
      part.close();
      part.closeAllConnections();
      await closed;
    }
  }

  get endpoint(): string {
    return this.#closed ?? originOf(this.#hub);
  }

  get cdn(): string {
    return originOf(this.#cdn);
  }

  /** Makes a program ask here, with its files in `home`, whatever the environment of this process says. */
  environment(home: string): Record<string, string> {
    const unset = { HF_HUB_CACHE: '', HF_TOKEN: '', HF_TOKEN_PATH: '', HF_HUB_OFFLINE: '' };
    return { ...unset, HF_HOME: home, HF_ENDPOINT: this.endpoint };
  }

  /** The paths asked for, a file's by its own name. */
  get asked(): string[] {
    return this.requests.map(({ path }) => path);
  }

  file(path: string): Buffer {
    return this.repositories.get(REPOSITORY)?.files.get(path) as Buffer;
  }

  /** The next requests for `match` are answered by `answer`. */
  interject(match: RegExp, answer: Interjection, times = 1): void {
    this.#interjections.push({ match, times, answer });
  }

  /** The next requests for the bytes of a file are answered in another way. */
  depart(path: string, departure: Departure, times = 1): void {
    const bytes = this.file(path);
    this.interject(
      new RegExp(isLarge(path) ? `/cdn/${sumOf(path, bytes)}` : `/resolve/.*/${path}`),
      (request, response) => sendFile(request, response, bytes, sumOf(path, bytes), departure),
      times,
    );
  }

  #receive(request: IncomingMessage, response: ServerResponse, cdn: boolean): void {
    const path = request.url ?? '';
    this.requests.push({ path, cdn, headers: request.headers });
    const serve = () => (cdn ? this.#serveBlob(request, response) : this.#serve(request, response));
    const found = this.#interjections.find(({ match, times }) => times > 0 && match.test(path));
    if (found === undefined) {
      serve();
      return;
    }
    found.times--;
    found.answer(request, response, serve);
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const { pathname } = new URL(request.url ?? '', 'http://hub');
    const parts = pathname
      .split('/')
      .filter((part) => part !== '')
      .map(decodeURIComponent);
    const isApi = parts[0] === 'api';
    const [owner, name, kind, revision = '', ...rest] = isApi ? parts.slice(2) : parts;
    const repository = this.repositories.get(`${owner}/${name}`);
    const commit = Object.values(repository?.refs ?? {}).includes(revision)
      ? revision
      : repository?.refs[revision];
    const path = rest.join('/');
    const bytes = repository?.files.get(path);
    if (repository === undefined) {
      refuse(response, 401, 'RepoNotFound');
    } else if (isApi && kind === 'refs') {
      const branches = Object.entries(repository.refs).map(([name, targetCommit]) => ({
        name,
        targetCommit,
      }));
      sendJson(response, { branches, tags: [{ name: 'v1.0' }], converts: [] });
    } else if (commit === undefined) {
      refuse(response, 404, 'RevisionNotFound');
    } else if (isApi && kind === 'revision') {
      sendJson(response, { _id: 'x', id: `${owner}/${name}`, sha: commit, lastModified: '2024-01-01' });
    } else if (isApi && kind === 'tree') {
      sendJson(response, listing(repository, path));
    } else if (kind !== 'resolve' || bytes === undefined) {
      refuse(response, 404, 'EntryNotFound');
    } else if (isLarge(path)) {
      const sum = sumOf(path, bytes);
      const location = `${this.cdn}/cdn/${sum}?X-Amz-Signature=secret`;
      response.writeHead(302, { location, 'x-linked-etag': `"${sum}"`, 'x-linked-size': bytes.length });
      response.end('Found');
    } else {
      sendFile(request, response, bytes, sumOf(path, bytes));
    }
  }

  #serveBlob(request: IncomingMessage, response: ServerResponse): void {
    const sum = new URL(request.url ?? '', 'http://cdn').pathname.split('/').at(-1) ?? '';
    const files = [...this.repositories.values()].flatMap((repository) => [...repository.files]);
    const found = files.find(([path, bytes]) => sumOf(path, bytes) === sum);
    if (found === undefined) refuse(response, 403, 'Expired');
    else sendFile(request, response, found[1], sum);
  }
}

function originOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** What the hub keeps with git LFS. */
export function isLarge(path: string): boolean {
  return /\.(safetensors|gguf|model|bin)$/.test(path);
}

/** The name that a file's blob has in the cache. */
export function sumOf(path: string, bytes: Buffer): string {
  if (isLarge(path)) return createHash('sha256').update(bytes).digest('hex');
  return createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');
}

/** What the hub lists of a folder. */
export function listing({ files }: ServedRepository, folder: string): object[] {
  return [...files].flatMap(([path, bytes]) => {
    const parent = path.split('/').slice(0, -1).join('/');
    if (parent !== folder) return [];
    const sum = sumOf(path, bytes);
    const entry = { type: 'file', path, size: bytes.length, oid: isLarge(path) ? '0'.repeat(40) : sum };
    return isLarge(path) ? [{ ...entry, lfs: { oid: sum, size: bytes.length, pointerSize: 134 } }] : [entry];
  });
}

export function refuse(response: ServerResponse, status: number, code?: string, headers = {}): void {
  response.writeHead(status, code === undefined ? headers : { 'x-error-code': code, ...headers });
  response.end('{"error":"no"}');
}

export function sendJson(response: ServerResponse, value: unknown, headers = {}): void {
  response.writeHead(200, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify(value));
}

export function sendFile(
  request: IncomingMessage,
  response: ServerResponse,
  bytes: Buffer,
  etag: string,
  { cut, reset = false, stall, ignoreRange = false, headers = {} }: Departure = {},
): void {
  const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
  const condition = request.headers['if-range'];
  const partial = range !== null && !ignoreRange && (condition === undefined || condition === `"${etag}"`);
  const begin = partial ? Number(range[1]) : 0;
  const end = partial && range[2] !== '' ? Number(range[2]) + 1 : bytes.length;
  if (begin >= bytes.length && bytes.length > 0) {
    response.writeHead(416, { 'content-range': `bytes */${bytes.length}` }).end();
    return;
  }
  const body = bytes.subarray(begin, end);
  response.writeHead(partial ? 206 : 200, {
    etag: `"${etag}"`,
    'content-length': body.length,
    ...(partial ? { 'content-range': `bytes ${begin}-${end - 1}/${bytes.length}` } : {}),
    ...headers,
  });
  const stop = cut ?? stall;
  if (stop === undefined) {
    response.end(body);
    return;
  }
  response.flushHeaders();
  const { socket } = response;
  response.write(body.subarray(0, stop), () => {
    if (reset) socket?.resetAndDestroy();
    // What the other side has not read by then it does not get.
    else if (cut !== undefined) setTimeout(() => socket?.end(), 100);
  });
}
