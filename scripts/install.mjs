// npm's install step: take the prebuilt addon that fits, else build from source, else say why in one sentence.
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const require = createRequire(import.meta.url);

function prebuildLoads() {
  try {
    require(require('node-gyp-build').resolve(root));
    return true;
  } catch {
    return false;
  }
}

if (process.env.npm_config_build_from_source || !prebuildLoads()) {
  try {
    const { build } = await import('./build-addon.mjs');
    build();
  } catch (error) {
    console.error(
      `xgen-mm: no prebuilt binary fits this machine and building from source failed: ${error.message}`,
    );
    process.exit(1);
  }
}
