import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { root } from '../files.js';
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
    expect(stdout).toMatch(/^backend +CPU: /m);
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
    expect(report.system.defaultThreads).toBe(Math.min(availableParallelism(), 16));
    expect(report.system.devices[0].totalBytes).toBeGreaterThan(2 ** 28);
    const backends = report.system.backends.map(({ name }: { name: string }) => name);
    expect(backends).toContain('CPU');
  });
});

const hasTaskset =
  process.platform === 'linux' && spawnSync('taskset', ['-p', `${process.pid}`]).status === 0;

test.skipIf(!hasTaskset)('a process that is held to one processor gets one thread', async () => {
  const [, processor = ''] =
    /^Cpus_allowed_list:\s*(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
  const doctor = [process.execPath, join(root, 'dist/cli/main.js'), 'doctor'];
  const { code, stdout } = await runProgram('taskset', ['-c', processor, ...doctor]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^CPU .*, 1 processor$/m);
  expect(stdout).toMatch(/^ggml .*, 1 thread unless told otherwise$/m);
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
