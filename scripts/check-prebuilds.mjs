// Before the package is published: refuses one that lacks the prebuilt addon of a platform.
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const PREBUILDS = [
  'darwin-arm64/xgen-mm.node',
  'darwin-x64/xgen-mm.node',
  'linux-arm64/xgen-mm.glibc.node',
  'linux-arm64/xgen-mm.musl.node',
  'linux-x64/xgen-mm.glibc.node',
  'linux-x64/xgen-mm.musl.node',
  'win32-arm64/xgen-mm.node',
  'win32-x64/xgen-mm.node',
];

const folder = join(dirname(dirname(fileURLToPath(import.meta.url))), 'prebuilds');
const missing = PREBUILDS.filter((file) => !existsSync(join(folder, file)));
if (missing.length > 0) {
  process.stderr.write(
    `Expected the addons of all platforms in prebuilds/, which the release workflow makes, missing: ${missing.join(', ')}\n`,
  );
  process.exitCode = 1;
}
