// Configures and builds native code with cmake-js: the addon, or another target of CMakeLists.txt. `--help` says what this script takes.
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { ggmlSource } from './fetch-ggml.mjs';
import { findToolkit } from './gpu-toolkit.mjs';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const HELP = `Usage: ${ROOT.includes(`${sep}node_modules${sep}`) ? 'node scripts/build-addon.mjs' : 'npm run build --'} [--cuda [--cuda-architectures LIST] | --vulkan]

Builds the native addon from source. Without options: the one that every model can be loaded with, in build/; on Apple's processors it
computes on Metal too. A build for GPUs lies beside it and is used as soon as it is there.

  --cuda                      for NVIDIA's GPUs, in build-cuda/; needs the CUDA toolkit with cuBLAS
  --cuda-architectures LIST   of which GPUs, as CMake's CMAKE_CUDA_ARCHITECTURES: native (default) for those that are there now, release
                              for those that the npm package serves, or a list such as "75;86-real"
  --vulkan                    for GPUs with a Vulkan driver, in build-vulkan/; needs Vulkan's headers, its loader and glslc
  --help
`;
/** Machine code from Turing to Blackwell, and intermediate code that drivers compile for what comes after. CUDA 12.8 or newer knows them all. */
const RELEASE_ARCHITECTURES = '75-real;80-real;86-real;89-real;90;120-real';

/** Builds `target` in `directory` (relative to the package) with further CMake definitions; throws when it fails. */
export function build({ target = 'xgenmm', directory = 'build', definitions = {} } = {}) {
  const { resolve } = createRequire(import.meta.url);
  const cmakeJs = resolve('cmake-js/bin/cmake-js');
  const all = {
    GGML_SOURCE_DIR: ggmlSource(),
    NODE_ADDON_API_DIR: dirname(resolve('node-addon-api/package.json')),
    ...definitions,
  };
  // Else cmake-js would choose one itself.
  const { CMAKE_GENERATOR } = process.env;
  const generator = CMAKE_GENERATOR === undefined ? [] : ['--generator', CMAKE_GENERATOR];
  const run = (command, ...args) =>
    // A build's output is progress, not an answer: it goes to stderr.
    spawnSync(
      process.execPath,
      [cmakeJs, command, '--directory', ROOT, '--out', join(ROOT, directory), ...generator, ...args],
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
    throw new Error(
      `building ${target} failed, as the first error above says (needed: CMake 3.18 or newer and a C++17 compiler)`,
    );
  }
}

/**
 * Builds the addon for GPUs, in a folder of its own; throws when the toolkit is missing or building fails.
 * @param {'cuda' | 'vulkan'} gpu
 * @param {string} architectures For CUDA.
 */
export function buildForGpu(gpu, architectures = 'native') {
  const definitions = { XGENMM_GPU: gpu, ...findToolkit(gpu) };
  if (gpu === 'cuda') {
    const named = architectures === 'release' ? RELEASE_ARCHITECTURES : architectures;
    definitions.CMAKE_CUDA_ARCHITECTURES = named;
  }
  build({ directory: `build-${gpu}`, definitions });
}

function main() {
  const { values } = parseArgs({
    options: {
      cuda: { type: 'boolean' },
      'cuda-architectures': { type: 'string' },
      vulkan: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return;
  }
  const architectures = values['cuda-architectures'];
  if (values.cuda && values.vulkan)
    throw new Error('Expected --cuda or --vulkan, received both: build them one after the other');
  if (architectures !== undefined && !values.cuda)
    throw new Error('Expected --cuda beside --cuda-architectures, received none');
  if (values.cuda) buildForGpu('cuda', architectures);
  else if (values.vulkan) buildForGpu('vulkan');
  else build();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    main();
  } catch (error) {
    process.stderr.write(`${error.message}\n`);
    process.exitCode = error.code?.startsWith('ERR_PARSE_ARGS') ? 2 : 1;
  }
}
