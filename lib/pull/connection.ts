import { linkedController } from '../abort.js';
import { XgenmmError } from '../errors.js';
import { describe } from '../options.js';
import type { HubSettings } from './hub-settings.js';
import { describeRefusal, type Subject } from './refusal.js';
import { PassingFailure, Retry, type RetryPolicy } from './retry.js';

/** How patient a connection is. */
export interface Patience extends RetryPolicy {
  /** Without a byte for so long, in ms, a server counts as gone. */
  stallMs: number;
}

export const PATIENCE: Patience = { attempts: 6, pauseMs: 1000, longestPauseMs: 300_000, stallMs: 30_000 };

const REDIRECTS = [301, 302, 303, 307, 308];
const MAX_REDIRECTS = 10;
/** More than the longest list that is read here. */
const MAX_DOCUMENT = 16 * 2 ** 20;
/** Names and ports that nothing answers at. */
const UNREACHABLE = [
  'ENOTFOUND',
  'EAI_AGAIN',
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENETDOWN',
  'UND_ERR_CONNECT_TIMEOUT',
];

/** A server's answer with a status of 200, 206 or 416. */
export interface Answer {
  response: Response;
  /** The body, piece by piece; throws a {@link PassingFailure} where the connection breaks or stalls. */
  pieces(): AsyncIterable<Uint8Array>;
  /** Lets go of the connection. */
  close(): void;
}

/** Asks servers: with the hub's token where it belongs, through redirects, and never longer than they answer. */
export class Connection {
  constructor(
    private readonly settings: HubSettings,
    readonly patience: Patience,
    readonly onNote: (note: string) => void,
    readonly signal: AbortSignal | undefined,
  ) {}

  /** One try. Throws a {@link PassingFailure} where another may help, else ERR_XGENMM_DOWNLOAD or `signal.reason`. */
  async open(start: URL, headers: Record<string, string>, subject: Subject): Promise<Answer> {
    const { controller, release } = linkedController(this.signal);
    const { stallMs } = this.patience;
    const stalled = () =>
      controller.abort(
        new PassingFailure(`Expected ${subject.what}, received nothing for ${stallMs / 1000} s`),
      );
    const timer = setTimeout(stalled, stallMs);
    const close = () => {
      clearTimeout(timer);
      release();
      controller.abort();
    };
    // What an abort ends with is its reason, whatever fetch makes of it.
    const failure = (error: unknown) => {
      if (this.signal?.aborted) return this.signal.reason;
      return controller.signal.aborted ? controller.signal.reason : broken(error, subject);
    };
    try {
      const response = await this.#follow(start, headers, controller.signal, subject);
      timer.refresh();
      if (response.status !== 200 && response.status !== 206 && response.status !== 416) {
        throw describeRefusal(response, subject, this.settings.endpoint, this.settings.token !== undefined);
      }
      return { response, pieces: () => watched(response.body, () => timer.refresh(), failure), close };
    } catch (error) {
      const reason = failure(error);
      close();
      throw reason;
    }
  }

  /** A small document, whole, with as many tries as it takes. */
  async fetch(url: URL, headers: Record<string, string>, subject: Subject): Promise<Response> {
    const retry = new Retry({ ...this.patience, attempts: 4 }, this.onNote, this.signal);
    for (;;) {
      try {
        return await this.#fetchOnce(url, headers, subject);
      } catch (error) {
        await retry.wait(error);
      }
    }
  }

  async #fetchOnce(url: URL, headers: Record<string, string>, subject: Subject): Promise<Response> {
    const answer = await this.open(url, headers, subject);
    try {
      const pieces: Uint8Array[] = [];
      let length = 0;
      for await (const piece of answer.pieces()) {
        length += piece.length;
        if (length > MAX_DOCUMENT) {
          throw new XgenmmError(
            'ERR_XGENMM_DOWNLOAD',
            `Expected at most ${MAX_DOCUMENT} bytes of ${subject.what}, received more`,
          );
        }
        pieces.push(piece);
      }
      return new Response(Buffer.concat(pieces, length), { headers: answer.response.headers });
    } finally {
      answer.close();
    }
  }

  async #follow(
    start: URL,
    headers: Record<string, string>,
    signal: AbortSignal,
    subject: Subject,
  ): Promise<Response> {
    let url = start;
    for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
      const response = await fetch(url, {
        redirect: 'manual',
        signal,
        headers: {
          'user-agent': 'xgen-mm',
          'accept-encoding': 'identity',
          ...headers,
          ...this.#credentials(url),
        },
      });
      const location = response.headers.get('location');
      if (!REDIRECTS.includes(response.status) || location === null) return response;
      await response.body?.cancel();
      url = redirected(url, location, subject);
    }
    throw new XgenmmError(
      'ERR_XGENMM_DOWNLOAD',
      `Expected ${subject.what}, received more than ${MAX_REDIRECTS} redirects`,
    );
  }

  /** The token goes to the hub's own origin only, whoever redirects there or away from it. */
  #credentials(url: URL): Record<string, string> {
    const { token, endpoint } = this.settings;
    const own = token !== undefined && url.origin === new URL(endpoint).origin;
    return own ? { authorization: `Bearer ${token}` } : {};
  }
}

/** The pieces of a body; `failure` makes of an error what is thrown. */
async function* watched(
  body: Response['body'],
  onPiece: () => void,
  failure: (error: unknown) => unknown,
): AsyncIterable<Uint8Array> {
  try {
    for await (const piece of body ?? []) {
      onPiece();
      yield piece as Uint8Array;
    }
  } catch (error) {
    throw failure(error);
  }
}

function redirected(url: URL, location: string, { what }: Subject): URL {
  const target = URL.canParse(location, url.href) ? new URL(location, url) : undefined;
  const isHttp = target?.protocol === 'https:' || target?.protocol === 'http:';
  if (target === undefined || !isHttp || target.username !== '' || target.password !== '') {
    throw new XgenmmError(
      'ERR_XGENMM_DOWNLOAD',
      `Expected ${what}, received a redirect to something else than an http or https URL`,
    );
  }
  if (url.protocol === 'https:' && target.protocol === 'http:') {
    throw new XgenmmError(
      'ERR_XGENMM_DOWNLOAD',
      `Expected ${what}, received a redirect from https to http, at ${describe(target.host)}, which is not followed`,
    );
  }
  return target;
}

/** What `fetch` or a body failed with, in words. */
function broken(error: unknown, { what }: Subject): unknown {
  if (error instanceof XgenmmError || error instanceof PassingFailure) return error;
  const { cause, message } = error as { cause?: { code?: string; message?: string }; message?: string };
  const reason = cause?.code ?? cause?.message ?? message ?? String(error);
  const sentence = `Expected ${what}, but the connection failed (${reason})`;
  // A certificate that is not trusted will not be in a second.
  if (/CERT|SELF_SIGNED|UNABLE_TO|_TLS_|_SSL_/.test(reason)) {
    return new XgenmmError('ERR_XGENMM_DOWNLOAD', sentence, { cause: error });
  }
  return new PassingFailure(sentence, {
    unreachable: UNREACHABLE.includes(reason),
    cause: error,
  });
}
