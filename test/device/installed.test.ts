// An installation with a package for CUDA that cannot be what it says here: what the system's loader and the kernel really do.
import { spawn } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { findAddon } from '../../lib/addon.js';
import { probeAddon } from '../../lib/device/probe.js';
import { runProgram, runScript } from '../cli/run.js';
import { modelFile, root } from '../files.js';
import { compileAddon, hasCompiler, version } from './fake-addon.js';

vi.setConfig({ testTimeout: 120_000 });

const PACKAGE = `@xgen-mm/${process.platform}-${process.arch}-cuda`;
const NO_LIBRARY = { libcuda: 'libcuda.so.1', libcublas: 'libcublas.so.13' };

let installation: string;
let addon: string;
beforeAll(() => {
  installation = mkdtempSync(join(root, 'build', 'gpu-'));
  cpSync(join(root, 'dist'), join(installation, 'dist'), { recursive: true });
  cpSync(join(root, 'package.json'), join(installation, 'package.json'));
  const main = join(installation, 'build', 'Release', 'xgenmm.node');
  mkdirSync(dirname(main), { recursive: true });
  symlinkSync(findAddon().path, main);
  addon = join(installation, 'node_modules', PACKAGE, 'xgenmm.node');
});
afterEach(() => rmSync(join(installation, 'node_modules'), { recursive: true, force: true }));
afterAll(() => rmSync(installation, { recursive: true }));

function install(behaviour: Parameters<typeof compileAddon>[1], library = ''): void {
  compileAddon(addon, behaviour, { library });
  writeFileSync(join(dirname(addon), 'package.json'), JSON.stringify({ name: PACKAGE, version }));
}

/** Loads a model as often as there are options, and prints the device or the error each time. */
const load = (...options: object[]) => loadUnder([], ...options);

/** `flags`: for Node.js. */
function loadUnder(flags: string[], ...options: object[]) {
  const program = `
    const { loadModel } = await import(${JSON.stringify(pathToFileURL(join(installation, 'dist', 'index.js')).href)});
    for (const options of ${JSON.stringify(options)}) {
      try {
        const model = await loadModel(${JSON.stringify(modelFile('tiny-f32'))}, options);
        console.log(model.info.device);
        await model.dispose();
      } catch ({ code, message }) {
        console.log(code, message);
      }
    }`;
  return runProgram(process.execPath, [...flags, '--input-type=module', '--eval', program]);
}

const there = () => relative(root, join(installation, 'dist', 'cli', 'main.js'));

describe.runIf(hasCompiler && process.arch === 'x64')('an addon for CUDA', () => {
  /** The processes that try it. */
  const hanging = () =>
    readdirSync('/proc').filter((pid) => {
      try {
        return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(addon);
      } catch {
        return false;
      }
    });

  test.each<[keyof typeof NO_LIBRARY, RegExp]>([
    ['libcuda', /Expected NVIDIA's driver for device 'cuda', received no libcuda\.so\.1: install the driver/],
    [
      'libcublas',
      /Expected cuBLAS for device 'cuda', received no libcublas\.so\.13: install the CUDA 13 toolkit/,
    ],
  ])('without %s: auto warns once and takes the CPU, cuda is refused', async (library, reason) => {
    install('needs', NO_LIBRARY[library]);
    const { code, stdout, stderr } = await load(
      {},
      { device: 'auto' },
      { device: 'cpu' },
      { device: 'cuda' },
    );
    const lines = stdout.trim().split('\n');
    expect(code).toBe(0);
    expect(lines.slice(0, 3)).toEqual(['CPU', 'CPU', 'CPU']);
    expect(lines[3]).toMatch(/^ERR_XGENMM_DEVICE_UNAVAILABLE /);
    expect(lines[3]).toMatch(reason);
    expect(
      stderr.match(/\[XGENMM_GPU_UNUSABLE\] XgenmmWarning: xgen-mm computes on device 'cpu'/g),
    ).toHaveLength(1);
    expect(stderr).toMatch(reason);
  });

  test('that crashes takes no process of the user with it', async () => {
    install('crashes');
    const { code, stdout, stderr } = await load({ device: 'cuda' }, {});
    expect(code).toBe(0);
    expect(stdout).toContain(
      `ERR_XGENMM_DEVICE_UNAVAILABLE Expected an addon that runs for device 'cuda', received SIGSEGV from the process that tried ${addon}`,
    );
    expect(stdout).toMatch(/\nCPU\n$/);
    expect(stderr).toContain('XGENMM_GPU_UNUSABLE');
  });

  test('that hangs is given up', async () => {
    install('hangs');
    expect(await probeAddon(addon, undefined, 300)).toEqual({ kind: 'crashes', how: 'no answer in 0.3 s' });
  });

  test.each<[Parameters<typeof compileAddon>[1], string]>([
    ['garbles', 'an answer that makes no sense'],
    ['floods', 'an answer without an end'],
  ])('that %s the answer takes no process of the user with it', async (behaviour, how) => {
    install(behaviour);
    expect(await probeAddon(addon)).toEqual({ kind: 'crashes', how });
  });

  test('that hangs keeps nothing alive once nobody waits', async () => {
    install('hangs');
    const program = `
      const { loadModel } = await import(${JSON.stringify(pathToFileURL(join(installation, 'dist', 'index.js')).href)});
      await loadModel(${JSON.stringify(modelFile('tiny-f32'))}, { signal: AbortSignal.timeout(500) }).catch(({ name }) => console.log(name));`;
    const started = performance.now();
    const run = await runProgram(process.execPath, ['--input-type=module', '--eval', program]);
    expect(run).toEqual({ code: 0, stdout: 'TimeoutError\n', stderr: '' });
    expect(performance.now() - started).toBeLessThan(20_000);
    await vi.waitFor(() => expect(hanging()).toEqual([]), 10_000);
  });

  test('that hangs ends with the command line that a Ctrl-C ends', async () => {
    install('hangs');
    const args = [join(root, there()), 'ask', modelFile('tiny-f32'), 'Hi'];
    // A process group of its own, as a terminal gives a command one.
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += text));
    const exit = new Promise((resolve) => child.on('close', resolve));
    await vi.waitFor(() => expect(hanging()).toHaveLength(1), 10_000);
    const interrupted = performance.now();
    process.kill(-(child.pid as number), 'SIGINT');
    expect(await exit).toBe(130);
    expect(performance.now() - interrupted).toBeLessThan(20_000);
    expect(output).toBe('');
    await vi.waitFor(() => expect(hanging()).toEqual([]), 10_000);
  });

  test('that hangs ends with a Ctrl-C, which is told apart from a crash', async () => {
    install('hangs');
    const probe = probeAddon(addon);
    await vi.waitFor(() => expect(hanging()).toHaveLength(1), 10_000);
    process.kill(Number(hanging()[0]), 'SIGINT');
    expect(await probe).toEqual({ kind: 'crashes', how: 'SIGINT', interrupted: true });
  });

  test('is not tried by an application that was started in place of Node.js to try it', async () => {
    install('works');
    const application = join(installation, 'application');
    const starts = join(installation, 'starts');
    const program = `
      require('node:fs').appendFileSync(${JSON.stringify(starts)}, 'x');
      process.execPath = ${JSON.stringify(application)};
      import(${JSON.stringify(pathToFileURL(join(installation, 'dist', 'index.js')).href)})
        .then(({ loadModel }) => loadModel(${JSON.stringify(modelFile('tiny-f32'))}))
        .then((model) => model.dispose());`;
    writeFileSync(`${application}.cjs`, program);
    writeFileSync(application, `#!/bin/sh\nexec "${process.execPath}" "${application}.cjs"\n`, {
      mode: 0o755,
    });
    const { code, stderr } = await runProgram(application, []);
    expect(code, stderr).toBe(0);
    expect(stderr).toContain('received no answer from the process that tried');
    expect(readFileSync(starts, 'utf8')).toBe('xx');
  });

  test('that hangs does not outlive the process that tried it', async () => {
    install('hangs');
    const program = `
      const { loadModel } = await import(${JSON.stringify(pathToFileURL(join(installation, 'dist', 'index.js')).href)});
      loadModel(${JSON.stringify(modelFile('tiny-f32'))});
      process.on('SIGUSR2', () => process.exit(3));`;
    const child = spawn(process.execPath, ['--input-type=module', '--eval', program], { stdio: 'ignore' });
    const exit = new Promise((resolve) => child.on('exit', resolve));
    await vi.waitFor(() => expect(hanging()).toHaveLength(1), 10_000);
    child.kill('SIGUSR2');
    expect(await exit).toBe(3);
    await vi.waitFor(() => expect(hanging()).toEqual([]), 10_000);
  });

  test('that may not be tried, nor looked for outside, is not used', async () => {
    install('works');
    const permission = process.allowedNodeEnvironmentFlags.has('--permission')
      ? '--permission'
      : '--experimental-permission';
    const flags = [permission, '--allow-addons', `--allow-fs-read=${join(root, '*')}`];
    const { code, stdout, stderr } = await loadUnder(flags, {}, { device: 'cuda' });
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(
      /^CPU\nERR_XGENMM_DEVICE_UNAVAILABLE Expected an addon that runs for device 'cuda', received Access to this API has been restricted/,
    );
    expect(stderr).toContain('XGENMM_GPU_UNUSABLE');
  });

  test('that works is what computes, for auto too', async () => {
    install('works');
    const { stdout, stderr } = await load(
      {},
      { device: 'cuda', gpuLayers: 7, visionDevice: 'cpu' },
      { device: 'cpu', visionDevice: 'cuda' },
      { device: 'cpu' },
    );
    expect(stdout.trim().split('\n')).toEqual([
      'ERR_XGENMM_INTERNAL fake auto -1 auto',
      'ERR_XGENMM_INTERNAL fake cuda 7 cpu',
      'ERR_XGENMM_INTERNAL fake cpu -1 cuda',
      'CPU',
    ]);
    expect(stderr).toBe('');
  });

  test('is described by doctor', async () => {
    install('works');
    const { code, stdout } = await runScript(there(), ['doctor']);
    expect(code).toBe(0);
    expect(stdout).toContain(`CUDA0 (gpu, a fake), 1.00 GB free of 2.00 GB; package, ${addon}`);
    expect(stdout).toMatch(/^vulkan +not used: Expected a build with Vulkan/m);
    expect(stdout).toMatch(/^metal +not used: Expected macOS on an Apple processor/m);
    expect(stdout).toMatch(/^auto +device: 'auto' computes on 'cuda'$/m);
    rmSync(addon);
    install('needs', NO_LIBRARY.libcuda);
    const report = JSON.parse((await runScript(there(), ['doctor', '--json'])).stdout);
    expect(report).toMatchObject({
      usable: true,
      gpus: {
        auto: 'cpu',
        cuda: { usable: false, installed: true, reason: expect.stringMatching(/driver/) },
      },
    });
  });

  test('is asked for on the command line', async () => {
    install('works');
    const ask = (...flags: string[]) => runScript(there(), ['ask', modelFile('tiny-f32'), 'Hi', ...flags]);
    expect(await ask('--device', 'cuda', '--gpu-layers', '3', '--vision-device', 'cpu')).toEqual({
      code: 1,
      stdout: '',
      stderr: 'xgen-mm: fake cuda 3 cpu (ERR_XGENMM_INTERNAL)\n',
    });
    const { code, stderr } = await ask('--device', 'gpu');
    expect(code).toBe(2);
    expect(stderr).toContain('Allowed choices are auto, cpu, cuda, metal, vulkan');
    for (const count of ['-1', '1048577', 'all']) {
      const refused = await ask('--gpu-layers', count);
      expect(refused.code).toBe(2);
      expect(refused.stderr).toContain('Expected an integer from 0 to 1048576.');
    }
  });
});
