import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describeAddonFault } from './addon-fault.js';
import { XgenmmError } from './errors.js';
import type { NativeModule } from './native.js';

const require = createRequire(import.meta.url);
const guarded = new WeakSet<NativeModule>();

/** The package's folder. */
export const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** Where an addon lies, and whether it was built here or came with the package. */
export interface AddonFile {
  path: string;
  origin: 'build' | 'prebuild';
}

/**
 * The native addon: a build of this checkout or installation if there is one, else the prebuilt binary for this platform.
 * Throws ERR_XGENMM_ADDON_UNAVAILABLE.
 */
export function loadAddon(root = ROOT): NativeModule {
  return openAddon(findAddon(root).path, root);
}

/** The file that {@link loadAddon} loads. Throws ERR_XGENMM_ADDON_UNAVAILABLE when there is none. */
export function findAddon(root = ROOT): AddonFile {
  const built = join(root, 'build', 'Release', 'xgenmm.node');
  if (existsSync(built)) return { path: built, origin: 'build' };
  try {
    const path = (require('node-gyp-build') as { resolve(root: string): string }).resolve(root);
    return { path, origin: path.includes(`${sep}prebuilds${sep}`) ? 'prebuild' : 'build' };
  } catch (cause) {
    throw unavailable(root, undefined, cause);
  }
}

/**
 * Loads the addon in a file, the same one for the same path. Throws ERR_XGENMM_ADDON_UNAVAILABLE, which says what it lacks; `root`, the
 * package's folder, decides what it advises.
 */
export function openAddon(path: string, root = ROOT): NativeModule {
  let addon: NativeModule;
  try {
    addon = require(path) as NativeModule;
  } catch (cause) {
    throw unavailable(root, path, cause);
  }
  if (!guarded.has(addon)) {
    guarded.add(addon);
    // Node.js ends the process without asking addons: threads must not compute while it is taken down around them.
    process.once('exit', () => addon.stopAll());
  }
  return addon;
}

function unavailable(root: string, path: string | undefined, cause: unknown): XgenmmError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  const { problem, remedy } = describeAddonFault({ root, path, reason });
  return new XgenmmError('ERR_XGENMM_ADDON_UNAVAILABLE', `${problem}; ${remedy}`, { cause });
}
