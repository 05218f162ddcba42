import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { runProgram } from '../cli/run.js';
import { root } from '../files.js';
import { newestGlibc, overwrite, rename } from './damage.js';
import { expectGoldenAnswers, questions } from './golden-answers.js';
import {
  barePath,
  copyInstallation,
  makeProject,
  npm,
  pack,
  prebuildOf,
  removePrebuilds,
  type Tarball,
  whyUntested,
} from './installation.js';

vi.setConfig({ testTimeout: 300_000, hookTimeout: 600_000 });

const untested = whyUntested();
let folder = '';
let tarball: Tarball;
/** A project that has installed it without network, scripts, compiler and git. */
let project: string;
let path: string;

beforeAll(async () => {
  if (untested !== undefined) return;
  folder = mkdtempSync(join(tmpdir(), 'xgen-mm-package-'));
  tarball = await pack(folder);
  path = barePath(join(folder, 'bin'));
  project = makeProject(join(folder, 'project'));
  const install = ['install', tarball.path, '--ignore-scripts'];
  const primed = await npm(install, { cwd: makeProject(join(folder, 'primes-the-cache')) });
  expect(primed.code, primed.stderr).toBe(0);
  const installed = await npm([...install, '--offline'], { cwd: project, env: { PATH: path } });
  expect(installed.code, installed.stderr).toBe(0);
});
afterAll(() => {
  if (folder !== '') rmSync(folder, { recursive: true });
});

/** Files below a folder of the checkout, by their paths in it. */
function walk(name: string): string[] {
  return readdirSync(join(root, name), { recursive: true, encoding: 'utf8' })
    .map((file) => join(name, file))
    .filter((file) => statSync(join(root, file)).isFile())
    .map((file) => file.replaceAll('\\', '/'));
}

describe.skipIf(untested !== undefined)(`an installed package${untested ? ` (${untested})` : ''}`, () => {
  test('comes in a tarball that holds what it needs and nothing else', () => {
    const ggml =
      /^vendor\/ggml\/(CMakeLists\.txt|cmake\/|include\/|src\/([^/]+|ggml-(cpu|cuda|metal|vulkan)\/.+)$)/;
    const expected = [
      ...walk('lib').flatMap((file) =>
        ['js', 'd.ts'].map((type) => `dist/${file.slice('lib/'.length, -'ts'.length)}${type}`),
      ),
      ...walk('native').filter((file) => !file.startsWith('native/tests/')),
      ...walk('vendor/ggml').filter((file) => ggml.test(file) && !/\/(kleidiai|spacemit)\//.test(file)),
      ...walk('prebuilds'),
      ...walk('models').filter((file) => file !== 'models/.gitignore'),
      ...['install', 'build-addon', 'fetch-ggml', 'gpu-toolkit'].map((name) => `scripts/${name}.mjs`),
      ...['CMakeLists.txt', 'binding.gyp', 'package.json', 'README.md'],
      ...['LICENSE', 'THIRD_PARTY_LICENSES.md', 'vendor/LICENSE'],
    ];
    expect(tarball.files).toEqual(expected.sort());
    expect(tarball.size).toBeLessThan(25e6);
  });

  test('shows the demo, with nothing on the PATH but Node.js and npm', async () => {
    const before = performance.now();
    const demo = await npm(['exec', 'xgen-mm', 'demo'], { cwd: project, env: { PATH: path } });
    expect(demo.code, demo.stderr).toBe(0);
    expect(demo.stdout).toContain('right');
    expect(performance.now() - before).toBeLessThan(30_000);
  });

  const lacking =
    process.arch === 'arm64' ? ['', 'i8mm', 'dotprod', 'neon'] : ['', 'avx512,avxvnni', 'avx2', 'sse42'];
  test.each(lacking)('answers as the reference where the processor lacks [%s]', async (names) => {
    const env = { XGENMM_WITHOUT: names };
    await expectGoldenAnswers(project, questions('all'), undefined, { env });
  });

  test.for([
    { processor: 'Haswell', has: 'AVX2' },
    { processor: 'Nehalem', has: 'SSE4.2' },
  ])('answers on a processor that has no more than $has', async ({ processor }, { skip }) => {
    const emulator = 'qemu-x86_64';
    skip(process.arch !== 'x64', 'that is about x64');
    skip(spawnSync(emulator, ['--version']).status !== 0, 'there is no qemu-x86_64');
    await expectGoldenAnswers(project, questions('small'), [emulator, '-cpu', processor, process.execPath]);
  });

  test('answers beside another copy in the same process', async () => {
    const other = copyInstallation(project, join(folder, 'other'));
    const main = join(other, 'node_modules', 'xgen-mm', 'dist', 'index.js');
    const [question] = questions('small');
    if (question === undefined) throw new Error('there is no question');
    const asked = [question, { ...question, installation: main }, question];
    await expectGoldenAnswers(project, asked);
  });

  test('is bundled by esbuild, itself and sharp kept outside', async () => {
    const source = join(project, 'program.ts');
    const text = `
      import { loadModel } from 'xgen-mm';
      const model: Awaited<ReturnType<typeof loadModel>> = await loadModel(process.argv[2] as string);
      console.log(model.info.variant, (await model.complete('A', { minTokens: 2, maxTokens: 2 })).tokens.length);
      await model.dispose();`;
    writeFileSync(source, text);
    mkdirSync(join(project, 'out'));
    const bundle = join(project, 'out', 'program.mjs');
    // Its command is a script or a binary, depending on whether its own install script ran.
    const external = ['xgen-mm', 'sharp'];
    await build({
      entryPoints: [source],
      outfile: bundle,
      bundle: true,
      platform: 'node',
      format: 'esm',
      external,
      logLevel: 'silent',
    });
    const run = await runProgram(process.execPath, [bundle, 'demo'], { cwd: project });
    expect(run).toEqual({ code: 0, stdout: 'instruct-interleave 2\n', stderr: '' });
  });
});

const onGlibc = existsSync(join(root, 'prebuilds', `linux-${process.arch}`, 'xgen-mm.glibc.node'));
describe.runIf(onGlibc && process.platform === 'linux' && untested === undefined)(
  'an installed addon that cannot be used',
  () => {
    const build =
      'build it with `npm rebuild xgen-mm --ignore-scripts=false` (it takes CMake 3.18 or newer and a C++17 compiler)';
    const otherArch = process.arch === 'arm64' ? { id: 62, name: 'x64' } : { id: 183, name: 'arm64' };
    const here = `${process.platform}-${process.arch}`;
    test.each<{ name: string; harm: (addon: string) => void; says: (addon: string) => string }>([
      {
        name: 'none',
        harm: () => removePrebuilds(join(folder, 'damaged')),
        says: () =>
          `Expected a native addon for ${here}, received none: the package has no prebuilt one for it, and its install script, which builds one, did not run (npm's ignore-scripts, pnpm's blocked builds); ${build}`,
      },
      {
        name: 'for a newer glibc',
        harm: (addon) => rename(addon, newestGlibc(addon), 'GLIBC_9.99'),
        says: (addon) => `Expected glibc 9.99 or newer, which the addon at ${addon} was built for, received `,
      },
      {
        name: 'with a library that is not there',
        harm: (addon) => rename(addon, 'libm.so.6', 'libq.so.6'),
        says: (addon) =>
          `Expected libq.so.6, which the addon at ${addon} needs, received: no such file on this system; install it or ${build}`,
      },
      {
        name: 'for another processor',
        harm: (addon) => overwrite(addon, 18, otherArch.id),
        says: (addon) =>
          `Expected an addon for ${here}, received ${addon}, which was built for ${otherArch.name}; ${build}`,
      },
      {
        name: 'for 32 bits',
        harm: (addon) => overwrite(addon, 4, 1),
        says: (addon) => `Expected an addon for ${here}, received ${addon}, which was built for `,
      },
      {
        name: 'a fragment',
        harm: (addon) => writeFileSync(addon, ''),
        says: (addon) => `Expected an addon at ${addon}, received a damaged file (file too short); ${build}`,
      },
    ])('$name: is explained', async ({ harm, says }) => {
      const damaged = copyInstallation(project, join(folder, 'damaged'));
      try {
        const addon = prebuildOf(damaged);
        harm(addon);
        const packed = join(damaged, 'node_modules', 'xgen-mm');
        const doctor = await runProgram(process.execPath, [
          join(packed, 'dist', 'cli', 'main.js'),
          'doctor',
          '--json',
        ]);
        expect(doctor.code).toBe(1);
        const { system } = JSON.parse(doctor.stdout);
        expect(system.fault).toEqual({
          code: 'ERR_XGENMM_ADDON_UNAVAILABLE',
          message: expect.stringContaining(says(addon)),
        });
      } finally {
        rmSync(damaged, { recursive: true });
      }
    });

    test('is built from source where scripts may run, which says why, and what that takes', async () => {
      const damaged = copyInstallation(project, join(folder, 'damaged'));
      const addon = prebuildOf(damaged);
      rename(addon, newestGlibc(addon), 'GLIBC_9.99');
      const script = join(damaged, 'node_modules', 'xgen-mm', 'scripts', 'install.mjs');
      const { code, stderr } = await runProgram(process.execPath, [script], { env: { PATH: path } });
      expect(code).toBe(1);
      const lines = stderr.trim().split('\n');
      expect(lines[0]).toMatch(
        /^xgen-mm: building the addon from source, since the addon at .+GLIBC_9\.99' not found.+\.$/,
      );
      expect(lines.at(-1)).toMatch(/GLIBC_9.+, and building it from source failed: .+CMake 3\.18 or newer/);
    });
  },
);
