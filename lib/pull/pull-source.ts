import { invalid } from '../options.js';
import { checkRepository, checkRevision, isSafePath } from './names.js';

/** What a user may ask for. */
export type PullSource =
  | {
      kind: 'repository';
      /** `owner/name`. */
      repository: string;
      /** Branch, tag or commit. */
      revision: string | undefined;
      /** Path of a GGUF file in the repository; undefined: what the repository holds. */
      file: string | undefined;
    }
  | { kind: 'url'; url: URL };

const HUB_HOSTS = ['huggingface.co', 'www.huggingface.co', 'hf.co'];
const OTHER_KINDS = ['datasets', 'spaces', 'api', 'collections', 'docs', 'papers'];

const EXPECTED = 'owner/name, a URL of a repository on huggingface.co or the https URL of a GGUF file';

/** Reads what a user typed. `endpoint`: the hub, whose URLs mean repositories too. Throws ERR_XGENMM_INVALID_ARGUMENT. */
export function parsePullSource(text: string, endpoint: URL): PullSource {
  if (!/^https?:/i.test(text)) {
    return {
      kind: 'repository',
      repository: checkRepository(text.replace(/^hf:/, '')),
      revision: undefined,
      file: undefined,
    };
  }
  if (!URL.canParse(text)) throw invalid('the model', EXPECTED, text);
  const url = new URL(text);
  if (url.username !== '' || url.password !== '') {
    throw invalid('the model', 'a URL without a user name or password', url.host);
  }
  const path = hubPath(url, endpoint);
  return path === undefined ? plainUrl(url) : hubUrl(path, url);
}

/** The parts of the path on the hub; undefined for a URL elsewhere. */
function hubPath(url: URL, endpoint: URL): string[] | undefined {
  const prefix = endpoint.pathname.replace(/\/$/, '');
  if (url.origin === endpoint.origin && url.pathname.startsWith(`${prefix}/`)) {
    return partsOf(url.pathname.slice(prefix.length));
  }
  return HUB_HOSTS.includes(url.hostname) ? partsOf(url.pathname) : undefined;
}

function partsOf(path: string): string[] {
  try {
    return path
      .split('/')
      .filter((part) => part !== '')
      .map(decodeURIComponent);
  } catch {
    throw invalid('the model', EXPECTED, path);
  }
}

function hubUrl([owner = '', name = '', kind, revision, ...rest]: string[], url: URL): PullSource {
  if (OTHER_KINDS.includes(owner)) throw invalid('the model', 'the URL of a model', url.pathname);
  const repository = checkRepository(`${owner}/${name}`);
  if (kind === undefined) return { kind: 'repository', repository, revision: undefined, file: undefined };
  const file = rest.join('/');
  if (kind === 'tree' && revision !== undefined && file === '') {
    return { kind: 'repository', repository, revision: checkRevision(revision), file: undefined };
  }
  if ((kind === 'resolve' || kind === 'blob') && revision !== undefined && isGguf(file) && isSafePath(file)) {
    return { kind: 'repository', repository, revision: checkRevision(revision), file };
  }
  throw invalid(
    'the model',
    'the URL of a repository, of one of its revisions (/tree/REVISION) or of a GGUF file in it (/resolve/REVISION/FILE.gguf)',
    url.pathname,
  );
}

function plainUrl(url: URL): PullSource {
  const name = partsOf(url.pathname).at(-1) ?? '';
  if (!isGguf(name) || !isSafePath(name))
    throw invalid('the model', EXPECTED, `${url.origin}${url.pathname}`);
  if (url.protocol !== 'https:' && !isLoopback(url)) {
    throw invalid('the model', 'an https URL: http would let anyone on the way change the file', url.origin);
  }
  return { kind: 'url', url };
}

export function isGguf(name: string): boolean {
  return /.\.gguf$/i.test(name);
}

/** Whether a URL leads to this machine. */
function isLoopback(url: URL): boolean {
  return /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname);
}
