// Builds and runs the C++ tests: plain in build/, or `--sanitize address|thread` in a folder of its own;
// `--file <name>`, any number of times, builds and runs only those of native/tests/<name>_test.cpp.
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
  options: {
    sanitize: { type: 'string', default: '' },
    file: { type: 'string', multiple: true, default: [] },
  },
});
const directory = values.sanitize ? `build-${values.sanitize}` : 'build';
const folder = join(root, directory);

const fixtures = join(root, 'build', 'fixtures');
await makeFixtures(fixtures);
await makeFixturePictures(join(root, 'test', 'fixtures'), join(fixtures, 'pictures'));
build({
  target: 'native-tests',
  directory,
  definitions: { XGENMM_SANITIZE: values.sanitize, XGENMM_TESTS: values.file.join(';') },
});

const binary = [join(folder, 'native-tests'), join(folder, 'Release', 'native-tests.exe')].find(existsSync);
if (binary === undefined) throw new Error(`no native-tests in ${folder}`);
const [command, ...args] =
  values.file.length === 0
    ? ['ctest', '--test-dir', folder, '--parallel', '2', '--output-on-failure', '-C', 'Release']
    : [binary];
const { status } = spawnSync(command, args, { stdio: 'inherit' });
process.exit(status ?? 1);
