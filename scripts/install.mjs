// npm's install step: take the prebuilt addon that fits, else build from source, else say why in one sentence.
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const require = createRequire(import.meta.url);

/** The prebuilt addon for this platform; undefined: there is none. */
function findAddon() {
  try {
    return require('node-gyp-build').resolve(root);
  } catch {
    return undefined;
  }
}

/** Why there must be a build; undefined: there need be none. */
function reasonToBuild() {
  if (process.env.npm_config_build_from_source) return 'build-from-source is set';
  const addon = findAddon();
  if (addon === undefined) return `there is no prebuilt addon for ${process.platform}-${process.arch}`;
  try {
    require(addon);
    return undefined;
  } catch (error) {
    return `the addon at ${addon} does not load here (${error.message.split('\n')[0]})`;
  }
}

const reason = reasonToBuild();
if (reason !== undefined) {
  console.error(`xgen-mm: building the addon from source, since ${reason}.`);
  try {
    const { build } = await import('./build-addon.mjs');
    build();
  } catch (error) {
    console.error(`xgen-mm: ${reason}, and building it from source failed: ${error.message}`);
    process.exit(1);
  }
}
