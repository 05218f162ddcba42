import { existsSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { runScript } from '../cli/run.js';

const build = (args: string[], env?: Record<string, string>) =>
  runScript('scripts/build-addon.mjs', args, { ...(env === undefined ? {} : { env }) });

describe('building the addon', () => {
  test('--help says what can be built', async () => {
    const { code, stdout, stderr } = await build(['--help']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^Usage: npm run build -- \[--cuda .*--vulkan\]/);
    expect(stdout).toContain('build-cuda/');
  });

  test.each<[string[], Record<string, string>, number, RegExp]>([
    [['--cuda', '--vulkan'], {}, 1, /^Expected --cuda or --vulkan, received both/],
    [['--cuda-architectures', '86'], {}, 1, /^Expected --cuda beside --cuda-architectures, received none\n$/],
    [['--cud'], {}, 2, /--cud/],
    [
      ['--cuda'],
      { CUDACXX: '/nowhere/nvcc' },
      1,
      /^Expected (an nvcc that runs for --cuda, received CUDACXX=\/nowhere\/nvcc, which does not: set CUDACXX .*|Linux or Windows for --cuda.*)\n$/,
    ],
    [
      ['--vulkan'],
      { PATH: '', VULKAN_SDK: '' },
      1,
      /^Expected the Vulkan SDK for --vulkan, received no glslc .*\n$/,
    ],
  ])('%j with %j is refused before anything is configured', async (args, env, code, message) => {
    const run = await build(args, env);
    expect({ code: run.code, stdout: run.stdout }).toEqual({ code, stdout: '' });
    expect(run.stderr).toMatch(message);
  });

  const installed = ['/usr/local/cuda', '/opt/cuda'].some((folder) => existsSync(folder));
  test.skipIf(installed || process.platform === 'darwin')(
    'a missing nvcc is named (needs none)',
    async () => {
      const run = await build(['--cuda'], { CUDACXX: '', CUDA_PATH: '', CUDA_HOME: '', PATH: '' });
      expect(run.code).toBe(1);
      expect(run.stderr).toMatch(
        /^Expected the CUDA toolkit for --cuda, received no nvcc .*CUDACXX to its nvcc\n$/,
      );
    },
  );
});
