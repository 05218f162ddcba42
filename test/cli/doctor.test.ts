import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { modelFile, root } from '../files.js';
import { runCli, runProgram, runScript } from './run.js';

// Programs are started one after another, which a busy machine may take its time over.
vi.setConfig({ testTimeout: 300_000 });

/** An installation inside the checkout, whose dependencies it finds, but without an addon. */
let installation: string;
beforeAll(() => {
  mkdirSync(join(root, 'build'), { recursive: true });
  installation = mkdtempSync(join(root, 'build', 'doctor-'));
  cpSync(join(root, 'dist'), join(installation, 'dist'), { recursive: true });
  cpSync(join(root, 'package.json'), join(installation, 'package.json'));
});
afterAll(() => rmSync(installation, { recursive: true }));

const runThere = (...args: string[]) =>
  runScript(relative(root, join(installation, 'dist', 'cli', 'main.js')), ['doctor', ...args]);

describe('a sound installation', () => {
  test('is described, with exit code 0', async () => {
    const { code, stdout, stderr } = await runCli(['doctor']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^xgen-mm +\d+\.\d+\.\d+$/m);
    expect(stdout).toContain(`${process.versions.node} on ${process.platform}-${process.arch}`);
    expect(stdout).toMatch(/^addon +(build|prebuild), .+\.node$/m);
    expect(stdout).toMatch(/^cores +\d+ physical/m);
    expect(stdout).toMatch(/^threads +\d+ unless told otherwise$/m);
    expect(stdout).toMatch(/^kernels +\w+/m);
    expect(stdout).toMatch(/^backend +CPU/m);
    expect(stdout).toMatch(/^device +CPU .*GB$/m);
    expect(stdout).toMatch(/^sharp +\d.* reads jpeg png webp /m);
    expect(stdout).toMatch(/^verdict +all usable$/m);
  });

  test('--json says the same', async () => {
    const { code, stdout, stderr } = await runCli(['doctor', '--json']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const report = JSON.parse(stdout);
    expect(report).toMatchObject({
      node: process.versions.node,
      addon: { path: expect.stringMatching(/\.node$/) },
      sharp: { formats: expect.arrayContaining(['jpeg', 'png', 'webp', 'gif', 'tiff']) },
      usable: true,
    });
    const { cores, defaultThreads } = report.system;
    expect(cores).toEqual({
      processors: expect.any(Number),
      physical: expect.any(Number),
      fast: expect.any(Number),
      quota: expect.any(Number),
    });
    expect(cores.processors).toBeLessThanOrEqual(cpus().length);
    expect(cores.physical).toBeLessThanOrEqual(cores.processors);
    expect(cores.fast).toBeLessThanOrEqual(cores.physical);
    expect(defaultThreads).toBeGreaterThanOrEqual(1);
    expect(defaultThreads).toBeLessThanOrEqual(Math.min(cores.processors, 16));
    expect(report.system.devices[0].totalBytes).toBeGreaterThan(2 ** 28);
    const backends = report.system.backends.map(({ name }: { name: string }) => name);
    expect(backends).toContain('CPU');
  });
});

test('what the kernels do without is not listed', async () => {
  const { stdout } = await runCli(['doctor', '--json'], { env: { XGENMM_WITHOUT: 'avx2,dotprod' } });
  const { instructions } = JSON.parse(stdout).system;
  for (const name of ['avx2', 'avx512', 'dotprod', 'i8mm']) expect(instructions).not.toContain(name);
});

describe('a process that is held to one processor', () => {
  const hasTaskset =
    process.platform === 'linux' && spawnSync('taskset', ['-p', `${process.pid}`]).status === 0;
  const runHeld = (...args: string[]) => {
    const [, processor = ''] =
      /^Cpus_allowed_list:\s*(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
    return runProgram('taskset', ['-c', processor, process.execPath, ...args]);
  };

  test('gets one thread', async ({ skip }) => {
    skip(!hasTaskset, 'there is no taskset');
    const { code, stdout } = await runHeld(join(root, 'dist/cli/main.js'), 'doctor');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^CPU .*, 1 processor$/m);
    expect(stdout).toMatch(/^cores +1 physical/m);
    expect(stdout).toMatch(/^threads +1 unless told otherwise$/m);
  });

  test('loads a model with one thread, or with as many as are asked for', async ({ skip }) => {
    skip(!hasTaskset, 'there is no taskset');
    const script = `
      import { loadModel } from ${JSON.stringify(pathToFileURL(join(root, 'dist/index.js')).href)};
      for (const threads of [undefined, 2]) {
        const model = await loadModel(${JSON.stringify(modelFile('tiny-f32'))}, { threads });
        console.log(model.info.threads);
        await model.dispose();
      }`;
    const run = await runHeld('--input-type=module', '--eval', script);
    expect(run).toEqual({ code: 0, stdout: '1\n2\n', stderr: '' });
  });
});

describe('what is missing is named, with its remedy and exit code 1', () => {
  test('no addon', async () => {
    const { code, stdout, stderr } = await runThere();
    expect({ code, stderr }).toEqual({ code: 1, stderr: '' });
    expect(stdout).toMatch(/^addon +FAILED: .*npm rebuild xgen-mm.* \(ERR_XGENMM_ADDON_UNAVAILABLE\)$/m);
    expect(stdout).toMatch(/^sharp +\d/m);
    expect(stdout).toMatch(/^verdict +not usable$/m);
    const report = JSON.parse((await runThere('--json')).stdout);
    expect(report).toMatchObject({
      usable: false,
      addon: { fault: { code: 'ERR_XGENMM_ADDON_UNAVAILABLE' } },
      sharp: { version: expect.any(String) },
    });
  });

  test('an addon that does not load', async () => {
    const path = join(installation, 'build', 'Release', 'xgenmm.node');
    mkdirSync(join(path, '..'), { recursive: true });
    writeFileSync(path, 'no library');
    try {
      const { code, stdout } = await runThere();
      expect(code).toBe(1);
      expect(stdout).toContain(`build, ${path}`);
      expect(stdout).toMatch(/FAILED: .*npm rebuild xgen-mm.* \(ERR_XGENMM_ADDON_UNAVAILABLE\)$/m);
      const { system } = JSON.parse((await runThere('--json')).stdout);
      expect(system.fault.code).toBe('ERR_XGENMM_ADDON_UNAVAILABLE');
    } finally {
      rmSync(join(installation, 'build'), { recursive: true });
    }
  });

  test('a sharp that does not load', async () => {
    const sharp = join(installation, 'node_modules', 'sharp');
    mkdirSync(sharp, { recursive: true });
    writeFileSync(join(sharp, 'package.json'), '{ "name": "sharp", "main": "index.js" }');
    writeFileSync(join(sharp, 'index.js'), "throw new Error('no libvips\\nhere');");
    try {
      const { code, stdout } = await runThere();
      expect(code).toBe(1);
      expect(stdout).toMatch(/^sharp +FAILED: no libvips .*--omit=optional$/m);
    } finally {
      rmSync(join(installation, 'node_modules'), { recursive: true });
    }
  });
});
