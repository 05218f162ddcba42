// Configures and builds native code with cmake-js: the addon, or another target of CMakeLists.txt.
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ggmlSource } from './fetch-ggml.mjs';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

/** Builds `target` in `directory` (relative to the package) with further CMake definitions; throws when it fails. */
export function build({ target = 'xgenmm', directory = 'build', definitions = {} } = {}) {
  const { resolve } = createRequire(import.meta.url);
  const cmakeJs = resolve('cmake-js/bin/cmake-js');
  const all = {
    GGML_SOURCE_DIR: ggmlSource(),
    NODE_ADDON_API_DIR: dirname(resolve('node-addon-api/package.json')),
    ...definitions,
  };
  const run = (command, ...args) =>
    // A build's output is progress, not an answer: it goes to stderr.
    spawnSync(
      process.execPath,
      [cmakeJs, command, '--directory', ROOT, '--out', join(ROOT, directory), ...args],
      {
        cwd: ROOT,
        stdio: ['ignore', 2, 2],
      },
    ).status === 0;
  const definitionsFor = Object.entries(all).map(([name, value]) => `--CD${name}=${value}`);
  // `build` alone would keep the definitions of an earlier configuration.
  const built =
    run('configure', ...definitionsFor) &&
    run('build', ...definitionsFor, '--target', target, '--parallel', String(availableParallelism()));
  if (!built) {
    throw new Error(`building ${target} failed (needed: CMake 3.18 or newer and a C++17 compiler)`);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) build();
