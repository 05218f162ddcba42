import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { gpuPackage } from '../../lib/device/gpu-addon.js';
import type { Host } from '../../lib/device/host.js';
import { runScript } from '../cli/run.js';
import { root } from '../files.js';
import { compileAddon, hasCompiler, version } from './fake-addon.js';

vi.setConfig({ testTimeout: 60_000 });

let folder: string;
let addon: string;
let output: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'xgen-mm-cuda-package-'));
  addon = join(folder, 'xgenmm.node');
  output = join(folder, 'package');
});
afterEach(() => rmSync(folder, { recursive: true }));

const pack = () => runScript('scripts/cuda-package.mjs', ['--addon', addon, '--output', output]);

test('the package for every platform is an optional peer of exactly this version', () => {
  const { peerDependencies, peerDependenciesMeta } = JSON.parse(
    readFileSync(join(root, 'package.json'), 'utf8'),
  );
  const hosts = ['linux', 'win32'].map((platform) => ({ platform, arch: 'x64' }) as Host);
  const names = hosts.map((host) => gpuPackage('cuda', { ...host, isMusl: false }) as string);
  expect(peerDependencies).toEqual(Object.fromEntries(names.map((name) => [name, version])));
  expect(peerDependenciesMeta).toEqual(Object.fromEntries(names.map((name) => [name, { optional: true }])));
});

test('an option that does not exist is refused in one sentence', async () => {
  expect(await runScript('scripts/cuda-package.mjs', ['--out', output])).toEqual({
    code: 2,
    stdout: '',
    stderr: expect.stringMatching(/^Unknown option '--out'.*\n$/),
  });
});

describe.runIf(hasCompiler && process.arch === 'x64')('the package with the addon for CUDA', () => {
  test('holds what npm needs, and nothing else', async () => {
    compileAddon(addon, 'works');
    expect(await pack()).toEqual({
      code: 0,
      stdout: `${output}\n`,
      stderr: `@xgen-mm/linux-x64-cuda@${version}; the addon loads here\n`,
    });
    const manifest = JSON.parse(readFileSync(join(output, 'package.json'), 'utf8'));
    const own = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    expect(manifest).toMatchObject({
      name: '@xgen-mm/linux-x64-cuda',
      version: own.version,
      license: own.license,
      os: ['linux'],
      cpu: ['x64'],
      libc: ['glibc'],
      peerDependencies: { 'xgen-mm': own.version },
    });
    const files = ['LICENSE', 'README.md', 'THIRD_PARTY_LICENSES.md', 'package.json', 'xgenmm.node'];
    expect(readdirSync(output).sort()).toEqual(files.sort());
    const [packed] = JSON.parse(
      execFileSync('npm', ['pack', '--dry-run', '--json', output], { cwd: folder, encoding: 'utf8' }),
    );
    expect(packed.filename).toBe(`xgen-mm-linux-x64-cuda-${version}.tgz`);
    expect(packed.files.map(({ path }: { path: string }) => path).sort()).toEqual(files.sort());
  });

  test.each(['libcuda.so.1', 'libcublas.so.12'])('is made where there is no %s', async (library) => {
    compileAddon(addon, 'needs', { library });
    const { code, stderr } = await pack();
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: `@xgen-mm/linux-x64-cuda@${version}; the addon was not tried: this machine lacks its driver or cuBLAS\n`,
    });
  });

  test.each<[string, () => void, RegExp]>([
    ['no file', () => {}, /^Expected an addon at .*, received ENOENT: make it with `npm run build/],
    [
      'another kind of file',
      () => writeFileSync(addon, 'MZ no library'),
      /^Expected an addon for linux at .*, received another kind of file/,
    ],
    [
      'another version',
      () => compileAddon(addon, 'works', { identity: 'xgen-mm 0.0.1 cuda' }),
      /^Expected an addon that says "xgen-mm \S+ cuda" at .*, received "xgen-mm 0\.0\.1 cuda"/,
    ],
    [
      'an addon for the CPU',
      () => compileAddon(addon, 'works', { identity: `xgen-mm ${version} cpu` }),
      /, received "xgen-mm \S+ cpu"/,
    ],
    [
      'one that crashes',
      () => compileAddon(addon, 'crashes'),
      /^Expected an addon that runs at .*, received SIGSEGV/,
    ],
    [
      'one that needs another library',
      () => compileAddon(addon, 'needs', { library: 'libcudart.so.12' }),
      /^Expected an addon that loads at .*, received: libcudart\.so\.12: cannot open shared object file/,
    ],
  ])('is not made of %s', async (_, make, message) => {
    make();
    const { code, stdout, stderr } = await pack();
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(message);
    expect(existsSync(output)).toBe(false);
  });
});
