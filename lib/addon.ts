import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { XgenmmError } from './errors.js';
import type { NativeAddon, NativeModule } from './native.js';

const require = createRequire(import.meta.url);
const guarded = new WeakSet<NativeModule>();

/**
 * The native addon: a build of this checkout or installation if there is one, else the prebuilt binary for this platform.
 * Throws ERR_XGENMM_ADDON_UNAVAILABLE.
 */
export function loadAddon(root = fileURLToPath(new URL('..', import.meta.url))): NativeAddon {
  const addon = requireAddon(root);
  if (!guarded.has(addon)) {
    guarded.add(addon);
    // Node.js ends the process without asking addons: engines must not compute while it is taken down around them.
    process.once('exit', () => addon.stopAll());
  }
  return addon;
}

function requireAddon(root: string): NativeModule {
  const built = join(root, 'build', 'Release', 'xgenmm.node');
  try {
    if (existsSync(built)) return require(built) as NativeModule;
    return (require('node-gyp-build') as (root: string) => NativeModule)(root);
  } catch (cause) {
    const reason = (cause instanceof Error ? cause.message : String(cause)).split('\n')[0];
    throw new XgenmmError(
      'ERR_XGENMM_ADDON_UNAVAILABLE',
      `Expected a native addon for ${process.platform}-${process.arch} at ${built} or under prebuilds/, received: ${reason}; build it with \`npm rebuild xgen-mm\` (or \`npm run build\` in a checkout)`,
      { cause },
    );
  }
}
