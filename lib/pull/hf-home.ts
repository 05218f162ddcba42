import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

/** Environment variables, as in `process.env`. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Hugging Face's folder: `HF_HOME`, else `~/.cache/huggingface`. */
function hfHome(env: Environment): string {
  const home = folder(env.HF_HOME);
  if (home !== undefined) return home;
  return join(folder(env.XDG_CACHE_HOME) ?? join(homedir(), '.cache'), 'huggingface');
}

/** Where Hugging Face's libraries keep repositories: `HF_HUB_CACHE`, else `hub` in {@link hfHome}. */
export function hubCacheFolder(env: Environment): string {
  return folder(env.HF_HUB_CACHE) ?? join(hfHome(env), 'hub');
}

/** Where the models are that `xgen-mm pull` has made. */
export function pulledFolder(env: Environment): string {
  return join(hfHome(env), 'xgen-mm');
}

/** The file that `hf auth login` writes its token to. */
export function tokenFile(env: Environment): string {
  return folder(env.HF_TOKEN_PATH) ?? join(hfHome(env), 'token');
}

/** Absolute. An empty variable counts as unset, and Python's library knows `~` too. */
function folder(value: string | undefined): string | undefined {
  if (value === undefined || value === '') return undefined;
  return /^~(?=$|[/\\])/.test(value) ? join(homedir(), value.slice(1)) : resolve(value);
}
