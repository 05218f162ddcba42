import { readFileSync } from 'node:fs';
import { XgenmmError } from '../errors.js';
import { invalid } from '../options.js';
import { type Environment, hubCacheFolder, pulledFolder, tokenFile } from './hf-home.js';

/** What Hugging Face's environment variables say. */
export interface HubSettings {
  /** The hub or a mirror, without a slash at the end. */
  endpoint: string;
  /** Sent to the endpoint and to nobody else. */
  token: string | undefined;
  /** No connection may be opened. */
  offline: boolean;
  /** Folder of the repositories. */
  cache: string;
  /** Folder of what is made of them. */
  pulled: string;
}

/** Throws ERR_XGENMM_INVALID_ARGUMENT where a variable cannot be used; no message repeats a token. */
export function readHubSettings(env: Environment): HubSettings {
  return {
    endpoint: readEndpoint(env.HF_ENDPOINT),
    token: isOn(env.HF_HUB_DISABLE_IMPLICIT_TOKEN) ? undefined : readToken(env),
    offline: isOn(env.HF_HUB_OFFLINE),
    cache: hubCacheFolder(env),
    pulled: pulledFolder(env),
  };
}

function readEndpoint(value: string | undefined): string {
  if (value === undefined || value.trim() === '') return 'https://huggingface.co';
  const url = URL.canParse(value.trim()) ? new URL(value.trim()) : undefined;
  const plain = url !== undefined && url.username === '' && url.password === '' && url.search === '';
  if (!plain || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    // It may hold a password.
    throw new XgenmmError(
      'ERR_XGENMM_INVALID_ARGUMENT',
      'Expected an http or https URL without credentials or query in HF_ENDPOINT, received something else',
    );
  }
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`;
}

function readToken(env: Environment): string | undefined {
  const given = env.HF_TOKEN?.trim();
  const token = given === undefined || given === '' ? readTokenFile(tokenFile(env)) : given;
  if (token === undefined || token === '') return undefined;
  if (!/^[\x21-\x7e]{1,4096}$/.test(token)) {
    const place = given ? 'HF_TOKEN' : tokenFile(env);
    throw new XgenmmError(
      'ERR_XGENMM_INVALID_ARGUMENT',
      `Expected one word of plain characters as the token in ${place}, received something else`,
    );
  }
  return token;
}

function readTokenFile(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw invalid(`the token file ${path}`, 'a file that can be read', code);
  }
}

/** As Python's library reads its switches. */
function isOn(value: string | undefined): boolean {
  return value !== undefined && ['1', 'ON', 'YES', 'TRUE'].includes(value.toUpperCase());
}
