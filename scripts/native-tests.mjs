// Builds and runs the C++ tests: plain in build/, or `--sanitize address|thread` in a folder of its own;
// `--filter <name>` runs only those whose name contains it, or one of several.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { build } from './build-addon.mjs';
import { makeFixturePictures } from './fixture-pictures.mjs';
import { makeFixtures } from './fixtures.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const { values } = parseArgs({
  options: { sanitize: { type: 'string', default: '' }, filter: { type: 'string', multiple: true } },
});
const directory = values.sanitize ? `build-${values.sanitize}` : 'build';
const folder = join(root, directory);

const fixtures = join(root, 'build', 'fixtures');
await makeFixtures(fixtures);
await makeFixturePictures(join(root, 'test', 'fixtures'), join(fixtures, 'pictures'));
build({ target: 'native-tests', directory, definitions: { XGENMM_SANITIZE: values.sanitize } });

const binary = [join(folder, 'native-tests'), join(folder, 'Release', 'native-tests.exe')].find(existsSync);
if (binary === undefined) throw new Error(`no native-tests in ${folder}`);
const [command, ...args] =
  values.filter === undefined
    ? ['ctest', '--test-dir', folder, '--parallel', '2', '--output-on-failure', '-C', 'Release']
    : [binary, ...values.filter];
const { status } = spawnSync(command, args, { stdio: 'inherit' });
process.exit(status ?? 1);
