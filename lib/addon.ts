import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { XgenmmError } from './errors.js';
import type { NativeModule } from './native.js';

const require = createRequire(import.meta.url);
const guarded = new WeakSet<NativeModule>();

/** The package's folder. */
const ROOT = fileURLToPath(new URL('..', import.meta.url));

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
  const addon = available(root, () => require(locate(root).path) as NativeModule);
  if (!guarded.has(addon)) {
    guarded.add(addon);
    // Node.js ends the process without asking addons: threads must not compute while it is taken down around them.
    process.once('exit', () => addon.stopAll());
  }
  return addon;
}

/** The file that {@link loadAddon} loads. Throws ERR_XGENMM_ADDON_UNAVAILABLE when there is none. */
export function findAddon(root = ROOT): AddonFile {
  return available(root, () => locate(root));
}

function locate(root: string): AddonFile {
  const built = buildPath(root);
  if (existsSync(built)) return { path: built, origin: 'build' };
  const path = (require('node-gyp-build') as { resolve(root: string): string }).resolve(root);
  return { path, origin: path.includes(`${sep}prebuilds${sep}`) ? 'prebuild' : 'build' };
}

function buildPath(root: string): string {
  return join(root, 'build', 'Release', 'xgenmm.node');
}

function available<T>(root: string, find: () => T): T {
  try {
    return find();
  } catch (cause) {
    const reason = (cause instanceof Error ? cause.message : String(cause)).split('\n')[0];
    throw new XgenmmError(
      'ERR_XGENMM_ADDON_UNAVAILABLE',
      `Expected a native addon for ${process.platform}-${process.arch} at ${buildPath(root)} or under prebuilds/, received: ${reason}; build it with \`npm rebuild xgen-mm\` (or \`npm run build\` in a checkout)`,
      { cause },
    );
  }
}
