// What a build for GPUs needs beside a compiler, looked for before anything is configured: one sentence says what is missing.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { ggmlSource } from './fetch-ggml.mjs';

const EXE = process.platform === 'win32' ? '.exe' : '';

/**
 * CMake definitions that point at the toolkit; throws one sentence when there is none.
 * @param {'cuda' | 'vulkan'} gpu
 * @returns {Record<string, string>}
 */
export function findToolkit(gpu) {
  return gpu === 'cuda' ? findCuda() : findVulkan();
}

function findCuda() {
  if (process.platform === 'darwin') {
    throw new Error(
      'Expected Linux or Windows for --cuda, received macOS, which has no CUDA: Metal is part of the plain build',
    );
  }
  // The places that CMake looks at, too.
  const folders = [process.env.CUDA_PATH, process.env.CUDA_HOME, '/usr/local/cuda', '/opt/cuda']
    .filter((folder) => folder)
    .map((folder) => join(folder, 'bin'));
  const { CUDACXX } = process.env;
  const nvcc = CUDACXX || findProgram('nvcc', folders);
  if (nvcc === undefined) {
    throw new Error(
      'Expected the CUDA toolkit for --cuda, received no nvcc on the PATH or under CUDA_PATH: install it from https://developer.nvidia.com/cuda-downloads, or set CUDACXX to its nvcc',
    );
  }
  if (spawnSync(nvcc, ['--version']).status !== 0) {
    const remedy = CUDACXX
      ? "set CUDACXX to the toolkit's nvcc, or to nothing to have it looked for"
      : 'install the toolkit again, or set CUDACXX to the nvcc of another one';
    throw new Error(
      `Expected an nvcc that runs for --cuda, received ${CUDACXX ? 'CUDACXX=' : ''}${nvcc}, which does not: ${remedy}`,
    );
  }
  return { CMAKE_CUDA_COMPILER: nvcc };
}

function findVulkan() {
  const sdk = process.env.VULKAN_SDK;
  const glslc = findProgram('glslc', sdk ? [join(sdk, 'bin'), join(sdk, 'Bin')] : []);
  if (glslc === undefined) {
    throw new Error(
      'Expected the Vulkan SDK for --vulkan, received no glslc on the PATH or under VULKAN_SDK: install it from https://vulkan.lunarg.com, or on Debian and Ubuntu with `apt-get install libvulkan-dev glslc spirv-headers` (those of Debian 12 are too old)',
    );
  }
  // ggml tries this, too, and then compiles shaders that need it all the same.
  const shader = join(
    ggmlSource(),
    ...'src/ggml-vulkan/vulkan-shaders/feature-tests/coopmat.comp'.split('/'),
  );
  const options = ['-fshader-stage=compute', '--target-env=vulkan1.2', '-o', '-', shader];
  if (spawnSync(glslc, options).status !== 0) {
    throw new Error(
      `Expected a glslc that knows GL_KHR_cooperative_matrix, received ${glslc}, which is older: install the Vulkan SDK from https://vulkan.lunarg.com and set VULKAN_SDK`,
    );
  }
  return { Vulkan_GLSLC_EXECUTABLE: glslc };
}

/**
 * @param {string} name
 * @param {string[]} folders Looked at first.
 */
function findProgram(name, folders) {
  const path = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  return [...folders, ...path].map((folder) => join(folder, name + EXE)).find(existsSync);
}
