// Builds and runs the C++ tests: plain in build/, or `--sanitize address|thread` in a folder of its own.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from './build-addon.mjs';
import { makeFixtures } from './fixtures.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const at = process.argv.indexOf('--sanitize');
const sanitizer = at < 0 ? '' : process.argv[at + 1];
const directory = sanitizer ? `build-${sanitizer}` : 'build';

await makeFixtures(join(root, 'build', 'fixtures'));
build({ target: 'native-tests', directory, definitions: { XGENMM_SANITIZE: sanitizer } });
const folder = join(root, directory);
const candidates = [join(folder, 'native-tests'), join(folder, 'Release', 'native-tests.exe')];
const result = spawnSync('ctest', ['--test-dir', folder, '--output-on-failure', '-C', 'Release'], { stdio: 'inherit' });
if (!candidates.some(existsSync)) process.exit(1);
process.exit(result.status ?? 1);
