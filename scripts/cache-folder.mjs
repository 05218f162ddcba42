import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';

/**
 * Where files of this package go that can be made again: XDG_CACHE_HOME, else what the system has for that.
 * @param {Record<string, string | undefined>} [env]
 * @param {string} [platform]
 */
export function cacheFolder(env = process.env, platform = process.platform) {
  return join(systemFolder(env, platform), 'xgen-mm');
}

/** @param {Record<string, string | undefined>} env @param {string} platform */
function systemFolder(env, platform) {
  // The XDG specification has relative paths ignored.
  const named = [env.XDG_CACHE_HOME, platform === 'win32' ? env.LOCALAPPDATA : undefined];
  const folder = named.find((path) => path !== undefined && isAbsolute(path));
  if (folder !== undefined) return folder;
  if (platform === 'win32') return join(homedir(), 'AppData', 'Local');
  return platform === 'darwin' ? join(homedir(), 'Library', 'Caches') : join(homedir(), '.cache');
}
