// Builds the C++ core for arm64 in build-arm64/ and runs the tests of the kernels and some golden ones under emulation, on a processor
// that has every instruction set; the kernels' tests do without one after the other. Where a tool is missing it fails and says which;
// with `--if-possible` it says that it skips, and succeeds.
import { spawn, spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { ggmlSource } from './fetch-ggml.mjs';
import { makeFixturePictures } from './fixture-pictures.mjs';
import { makeFixtures } from './fixtures.mjs';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const BUILD = join(ROOT, 'build-arm64');
const LIBRARIES = '/usr/aarch64-linux-gnu';
const COMPILER = 'aarch64-linux-gnu-g++';
const EMULATORS = ['qemu-aarch64', 'qemu-aarch64-static'];
/** Files of native/tests, without their endings. */
const TESTS = ['packed_product', 'ggml_dots', 'attention', 'cached_attention', 'norm', 'golden'];
/** Parts of the names of the tests in them, or with ^ their beginnings, for each process. */
const RUNS = [['packed_', 'ggml_dots', 'attention', 'normalize', 'kv_rows'], ['^golden_tiny_f32']];

/**
 * Whether a program can be started.
 * @param {string} command
 */
function exists(command) {
  return spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0;
}

/** @param {string[]} args */
function cmake(...args) {
  // As in build-addon.mjs, a build's output is progress.
  const { status } = spawnSync('cmake', args, { cwd: ROOT, stdio: ['ignore', 2, 2] });
  if (status !== 0) throw new Error(`building the tests for arm64 failed: cmake ${args.join(' ')}`);
}

function build() {
  const definitions = {
    CMAKE_TOOLCHAIN_FILE: join(ROOT, 'native', 'cmake', 'aarch64-linux-gnu.cmake'),
    CMAKE_BUILD_TYPE: 'Release',
    // Faster to compile, and as fast under emulation.
    CMAKE_C_FLAGS_RELEASE: '-O2 -DNDEBUG',
    CMAKE_CXX_FLAGS_RELEASE: '-O2 -DNDEBUG',
    GGML_NATIVE: 'OFF',
    GGML_SOURCE_DIR: ggmlSource(),
    XGENMM_TESTS: TESTS.join(';'),
  };
  const generator = exists('ninja') ? ['-G', 'Ninja'] : [];
  const defined = Object.entries(definitions).map(([name, value]) => `-D${name}=${value}`);
  cmake('-S', ROOT, '-B', BUILD, ...generator, ...defined);
  cmake('--build', BUILD, '--target', 'native-tests', '--parallel', String(availableParallelism()));
}

/**
 * Resolves with whether the tests whose names contain one of `filters` passed.
 * @param {string} emulator
 * @param {string[]} filters
 * @returns {Promise<boolean>}
 */
function run(emulator, filters) {
  const binary = join(BUILD, 'native-tests');
  const tests = spawn(emulator, ['-cpu', 'max', '-L', LIBRARIES, binary, ...filters], { stdio: 'inherit' });
  return new Promise((resolve) => {
    tests.on('error', () => resolve(false));
    tests.on('exit', (status) => resolve(status === 0));
  });
}

const { values } = parseArgs({ options: { 'if-possible': { type: 'boolean', default: false } } });
const emulator = EMULATORS.find(exists);
const missing = [
  ...(exists('cmake') ? [] : ['cmake']),
  ...(exists(COMPILER) ? [] : ['g++-aarch64-linux-gnu']),
  ...(emulator === undefined ? ['qemu-user'] : []),
];
if (emulator === undefined || missing.length > 0) {
  const hint = `they need ${missing.join(' and ')}, which apt-get installs on Debian and Ubuntu`;
  console.error(
    values['if-possible']
      ? `Skipping the tests for arm64: ${hint}.`
      : `Cannot run the tests for arm64: ${hint}.`,
  );
  process.exitCode = values['if-possible'] ? 0 : 1;
} else {
  const fixtures = join(ROOT, 'build', 'fixtures');
  await makeFixtures(fixtures);
  await makeFixturePictures(join(ROOT, 'test', 'fixtures'), join(fixtures, 'pictures'));
  build();
  const passed = await Promise.all(RUNS.map((filters) => run(emulator, filters)));
  process.exitCode = passed.every(Boolean) ? 0 : 1;
}
