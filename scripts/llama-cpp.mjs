// node scripts/llama-cpp.mjs: builds llama.cpp's llama-quantize and llama-bench, and of ours over its libraries llama-logits and
// llama-tower, from the pinned release, in build/llama.cpp. The checks that compare this package with it run when that build is there.
// With --avx2: a llama-bench for processors with AVX2 alone, in build-avx2 beside that build, which XGENMM_WITHOUT=avx512,avxvnni is
// to be compared with.
import { spawnSync } from 'node:child_process';
import { existsSync, renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { extractRelease, PACKAGE } from './fetch-ggml.mjs';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
/** The release is part of the name: another one is another build. */
export const LLAMA_CPP_FOLDER = join(ROOT, 'build', 'llama.cpp', PACKAGE.replace('@', '-'));
const SOURCE = join(LLAMA_CPP_FOLDER, 'source');
const BUILD = join(LLAMA_CPP_FOLDER, 'build');
const TOOLS = /** @type {const} */ (['llama-quantize', 'llama-bench', 'llama-logits', 'llama-tower']);
const NEEDED = [
  ...['CMakeLists.txt', 'LICENSE', 'cmake', 'common', 'ggml', 'include', 'licenses', 'src', 'vendor'],
  ...['tools/quantize', 'tools/llama-bench'],
];

/** Whether there is a build of the pinned release. */
export function hasLlamaCpp() {
  return TOOLS.every((tool) => existsSync(pathOf(tool)));
}

/**
 * The path of a tool. Ends the process when it has not been built: for scripts.
 * @param {typeof TOOLS[number]} tool
 */
export function llamaCppTool(tool) {
  if (!existsSync(pathOf(tool))) {
    process.stderr.write('llama.cpp must be built first: node scripts/llama-cpp.mjs\n');
    process.exit(1);
  }
  return pathOf(tool);
}

/** @param {string} tool */
function pathOf(tool) {
  return join(BUILD, 'bin', process.platform === 'win32' ? `${tool}.exe` : tool);
}

/**
 * Fetches the source if it is not there, and builds what is not up to date.
 * @param {number} jobs Compilers at a time.
 * @param {boolean} avx2
 */
function buildLlamaCpp(jobs, avx2) {
  if (!existsSync(SOURCE)) {
    extractRelease(LLAMA_CPP_FOLDER, NEEDED, (release) => renameSync(release, SOURCE));
  }
  const definitions = [`-DLLAMA_CPP_SOURCE_DIR=${SOURCE}`, '-DCMAKE_BUILD_TYPE=Release'];
  if (avx2)
    definitions.push(
      '-DGGML_NATIVE=OFF',
      ...['AVX', 'AVX2', 'FMA', 'F16C', 'BMI2'].map((set) => `-DGGML_${set}=ON`),
    );
  const build = avx2 ? `${BUILD}-avx2` : BUILD;
  const tools = avx2 ? ['llama-bench'] : TOOLS;
  cmake(['-S', join(ROOT, 'scripts', 'llama-cpp'), '-B', build, ...definitions]);
  cmake(['--build', build, '--config', 'Release', '--parallel', String(jobs), '--target', ...tools]);
}

/** @param {string[]} args */
function cmake(args) {
  // A build's output is progress, not an answer: it goes to stderr.
  if (spawnSync('cmake', args, { stdio: ['ignore', 2, 2] }).status !== 0) {
    throw new Error(
      'building llama.cpp failed (needed: CMake 3.18 or newer on the PATH and a C++17 compiler)',
    );
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({ options: { avx2: { type: 'boolean', default: false } } });
  buildLlamaCpp(2, values.avx2);
}
