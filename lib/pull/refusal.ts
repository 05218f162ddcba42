import { XgenmmError } from '../errors.js';
import { PassingFailure } from './retry.js';

/** What was asked of a server, for messages. */
export interface Subject {
  /** For example `config.json of owner/name`. */
  what: string;
  /** `owner/name` on the hub; undefined for a URL elsewhere. */
  repository?: string | undefined;
  /** Branch, tag or commit that the user named, where it decides whether there is an answer. */
  revision?: string | undefined;
}

/** A repository without the revision that was asked for. */
export class MissingRevision extends XgenmmError {
  constructor(
    private readonly subject: Subject,
    private readonly status: number,
    /** Branches and tags that there are. */
    known: readonly string[] = [],
  ) {
    const { what, repository, revision } = subject;
    const list = known.length === 0 ? '' : `; there are ${known.join(', ')}`;
    super(
      'ERR_XGENMM_DOWNLOAD',
      `Expected ${what}, received status ${status}: ${repository} has no revision ${revision}${list}`,
    );
  }

  knowing(revisions: readonly string[]): MissingRevision {
    return new MissingRevision(this.subject, this.status, revisions);
  }
}

/** What a status other than 2xx means: an error to throw, or a {@link PassingFailure} if trying again may help. */
export function describeRefusal(
  { status, headers }: Response,
  subject: Subject,
  endpoint: string,
  hasToken: boolean,
): Error {
  const received = `Expected ${subject.what}, received status ${status}`;
  if (status === 429) {
    const pauseMs = retryAfter(headers.get('retry-after'));
    const asked = pauseMs === 0 ? '' : `, wait ${Math.ceil(pauseMs / 1000)} s`;
    const hint = subject.repository !== undefined && !hasToken ? '; with HF_TOKEN the limits are higher' : '';
    return new PassingFailure(`${received}: too many requests${asked}${hint}`, { pauseMs });
  }
  if (status === 408 || status === 500 || (status >= 502 && status <= 504)) {
    return new PassingFailure(`${received}: the server has a problem of its own`, {
      pauseMs: retryAfter(headers.get('retry-after')),
    });
  }
  const isMissing = status === 404 && headers.get('x-error-code') !== 'EntryNotFound';
  if (isMissing && subject.revision !== undefined) return new MissingRevision(subject, status);
  return new XgenmmError(
    'ERR_XGENMM_DOWNLOAD',
    `${received}${advice(status, headers, subject, endpoint, hasToken)}`,
  );
}

function advice(
  status: number,
  headers: Headers,
  { repository }: Subject,
  endpoint: string,
  hasToken: boolean,
): string {
  if (repository === undefined) {
    if (status === 401 || status === 403)
      return ': the server wants to know who asks, which pull never tells other hosts than the hub; download the file yourself';
    return status === 404 ? ': look at the URL' : '';
  }
  const page = `${endpoint}/${repository}`;
  const code = headers.get('x-error-code');
  if (status === 401 && hasToken && code === null)
    return `: the token is not valid (any more); set HF_TOKEN to a new one from ${endpoint}/settings/tokens`;
  // To those who may not see a repository the hub says 401, as for one that does not exist.
  if (code === 'RepoNotFound' || (status === 404 && code === null))
    return `: there is no ${repository}, or it is private; look at the spelling, or set HF_TOKEN to a token that may read it`;
  if (status === 401 || status === 403)
    return `: it is gated or private; accept its licence at ${page} and set HF_TOKEN to a token that may read it, from ${endpoint}/settings/tokens`;
  if (code === 'EntryNotFound')
    return `: the repository has no such file; ${page}/tree/main lists what there is`;
  return '';
}

/** Milliseconds that a Retry-After asks for, as seconds or as a date; 0 for none. */
function retryAfter(value: string | null): number {
  if (value === null) return 0;
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : 0;
}
