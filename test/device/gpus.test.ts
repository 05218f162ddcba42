import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Gpus } from '../../lib/device/gpus.js';
import type { Host } from '../../lib/device/host.js';
import type { Probe } from '../../lib/device/probe.js';
import type { NativeDevice, NativeModule } from '../../lib/native.js';

const LINUX: Host = { platform: 'linux', arch: 'x64', hasNvidiaDriver: false, isMusl: false };
const VERSION = '1.2.3';
const CPU: NativeDevice = {
  name: 'CPU',
  description: 'a processor',
  backend: 'CPU',
  kind: 'cpu',
  freeBytes: 1,
  totalBytes: 2,
};
const RUNS: Probe = {
  kind: 'runs',
  identity: `xgen-mm ${VERSION} cuda`,
  devices: [{ ...CPU, name: 'CUDA0', backend: 'CUDA', kind: 'gpu' }, CPU],
};
const NO_DRIVER: Probe = {
  kind: 'does not load',
  text: 'libcuda.so.1: cannot open shared object file: No such file or directory',
};

/** An installation whose addons are files that nothing loads. */
let root: string;
let warnings: [string, object][];
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'xgen-mm-gpus-'));
  writeFileSync(join(root, 'package.json'), JSON.stringify({ name: 'xgen-mm', version: VERSION }));
  warnings = [];
  vi.spyOn(process, 'emitWarning').mockImplementation((message, options) => {
    warnings.push([String(message), options as object]);
  });
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(root, { recursive: true });
});

function addFile(...path: string[]): string {
  const file = join(root, ...path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, '');
  return file;
}

function addPackage(name: string, version = VERSION): string {
  const folder = join(root, 'node_modules', '@xgen-mm', name);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: `@xgen-mm/${name}`, version }));
  return addFile('node_modules', '@xgen-mm', name, 'xgenmm.node');
}

const MAIN = {
  systemInfo: () => ({ backends: [{ name: 'CPU' }], devices: [CPU] }),
} as unknown as NativeModule;

function gpusOf(host: Partial<Host> = {}, probe: Probe = RUNS, main = MAIN) {
  const probed: string[] = [];
  const gpus = new Gpus(
    root,
    () => main,
    { ...LINUX, ...host },
    async (path) => {
      probed.push(path);
      return probe;
    },
  );
  return { gpus, probed };
}

describe('auto', () => {
  test('without anything for a GPU is the CPU, and says nothing', async () => {
    const { gpus, probed } = gpusOf();
    expect(await gpus.openBest()).toBe(MAIN);
    expect(await gpus.best()).toBeUndefined();
    expect({ probed, warnings }).toEqual({ probed: [], warnings: [] });
  });

  test('names the package once where a driver of NVIDIA is seen', async () => {
    const { gpus } = gpusOf({ hasNvidiaDriver: true });
    await gpus.openBest();
    await gpus.openBest();
    expect(warnings).toEqual([
      [
        expect.stringContaining(`npm install @xgen-mm/linux-x64-cuda@${VERSION}`),
        { type: 'XgenmmWarning', code: 'XGENMM_GPU_UNUSED' },
      ],
    ]);
  });

  test.each<Partial<Host>>([{ isMusl: true }, { arch: 'arm64' }, { platform: 'freebsd' }])(
    'says nothing on %j, for which there is no package',
    async (host) => {
      const { gpus } = gpusOf({ hasNvidiaDriver: true, ...host });
      expect(await gpus.openBest()).toBe(MAIN);
      expect(warnings).toEqual([]);
    },
  );

  test('takes the package for this platform, tried once', async () => {
    const path = addPackage('linux-x64-cuda');
    const { gpus, probed } = gpusOf();
    expect(await gpus.best()).toBe('cuda');
    expect(await gpus.state('cuda')).toMatchObject({ usable: true, addon: { path, origin: 'package' } });
    expect(await gpus.state('cuda')).toMatchObject({ devices: [{ name: 'CUDA0' }] });
    expect(probed).toEqual([path]);
  });

  test('prefers a build of this checkout', async () => {
    addPackage('linux-x64-cuda');
    const path = addFile('build-cuda', 'Release', 'xgenmm.node');
    expect(await gpusOf().gpus.state('cuda')).toMatchObject({ addon: { path, origin: 'build' } });
  });

  test('warns once if what is installed cannot be used, and goes on with the CPU', async () => {
    addPackage('linux-x64-cuda');
    const { gpus, probed } = gpusOf({ hasNvidiaDriver: true }, NO_DRIVER);
    expect(await gpus.openBest()).toBe(MAIN);
    expect(await gpus.openBest()).toBe(MAIN);
    expect(probed).toHaveLength(1);
    expect(warnings).toEqual([
      [
        expect.stringMatching(/^xgen-mm computes on device 'cpu': Expected NVIDIA's driver .*libcuda\.so\.1/),
        { type: 'XgenmmWarning', code: 'XGENMM_GPU_UNUSABLE' },
      ],
    ]);
  });

  test('warns of a package of another version, which is not even tried', async () => {
    addPackage('linux-x64-cuda', '1.2.4');
    const { gpus, probed } = gpusOf();
    expect(await gpus.openBest()).toBe(MAIN);
    expect(probed).toEqual([]);
    expect(warnings[0]?.[0]).toContain(
      `Expected version ${VERSION} of @xgen-mm/linux-x64-cuda for device 'cuda', the same as xgen-mm's, received 1.2.4: run \`npm install @xgen-mm/linux-x64-cuda@${VERSION}\``,
    );
  });

  test('goes on to the CPU if another process could load it and this one cannot', async () => {
    addPackage('linux-x64-cuda');
    const { gpus } = gpusOf();
    expect(await gpus.openBest()).toBe(MAIN);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]?.[0]).toMatch(
      /Expected an addon at .*xgenmm\.node, received a damaged file .*\(device 'cuda'\)$/,
    );
  });

  test('on Apple processors is the addon that everybody has', async () => {
    const metal = { ...CPU, name: 'MTL0', backend: 'MTL', kind: 'gpu' };
    const main = {
      systemInfo: () => ({ backends: [{ name: 'MTL' }, { name: 'CPU' }], devices: [metal, CPU] }),
    } as unknown as NativeModule;
    const { gpus, probed } = gpusOf({ platform: 'darwin', arch: 'arm64' }, RUNS, main);
    expect(await gpus.best()).toBe('metal');
    expect(await gpus.openBest()).toBe(main);
    expect(await gpus.open('metal')).toBe(main);
    expect({ probed, warnings }).toEqual({ probed: [], warnings: [] });
  });
});

test('an addon of another version is not used, wherever it lies', async () => {
  const path = addFile('build-cuda', 'Release', 'xgenmm.node');
  const { gpus } = gpusOf({}, { ...RUNS, identity: 'xgen-mm 1.2.2 cuda' } as Probe);
  expect(await gpus.state('cuda')).toEqual({
    usable: false,
    installed: true,
    reason: `Expected an addon that is xgen-mm ${VERSION} cuda for device 'cuda', received xgen-mm 1.2.2 cuda at ${path}: build or install it again`,
  });
});

describe('a package that is damaged', () => {
  const DAMAGED = 'Expected a whole package @xgen-mm/linux-x64-cuda for device';
  const PLACE = ['node_modules', '@xgen-mm', 'linux-x64-cuda'];

  test.each([
    ['', /received one whose package\.json cannot be read: remove /],
    ['{', /received one whose package\.json cannot be read: remove /],
    ['null', /received one whose package\.json cannot be read: remove /],
    ['{}', /received one whose package\.json names no version: remove /],
    [undefined, /received one whose package\.json cannot be read: remove /],
  ])('with package.json %j says so and how to mend it', async (manifest, fault) => {
    addPackage('linux-x64-cuda');
    const file = join(root, ...PLACE, 'package.json');
    if (manifest === undefined) rmSync(file);
    else writeFileSync(file, manifest);
    const { gpus, probed } = gpusOf();
    const state = await gpus.state('cuda');
    expect(state).toEqual({ usable: false, installed: true, reason: expect.stringContaining(DAMAGED) });
    expect(state).toMatchObject({ reason: expect.stringMatching(fault) });
    expect(state).toMatchObject({
      reason: expect.stringMatching(new RegExp(`npm install @xgen-mm/linux-x64-cuda@${VERSION}\`$`)),
    });
    expect(probed).toEqual([]);
  });

  test('lacks its addon', async () => {
    rmSync(addPackage('linux-x64-cuda'));
    expect(await gpusOf().gpus.state('cuda')).toEqual({
      usable: false,
      installed: true,
      reason: `${DAMAGED} 'cuda', received one without xgenmm.node: remove ${join(root, ...PLACE)} and run \`npm install @xgen-mm/linux-x64-cuda@${VERSION}\``,
    });
  });

  test('is whole if it only hides its package.json', async () => {
    const path = addPackage('linux-x64-cuda');
    const manifest = { version: VERSION, exports: './xgenmm.node' };
    writeFileSync(join(root, ...PLACE, 'package.json'), JSON.stringify(manifest));
    expect(await gpusOf().gpus.state('cuda')).toMatchObject({ usable: true, addon: { path } });
  });
});

test('what fails in a way that nobody thought of is no GPU', async () => {
  addPackage('linux-x64-cuda');
  const gpus = new Gpus(
    root,
    () => MAIN,
    LINUX,
    () => Promise.reject(new Error('no luck')),
  );
  expect(await gpus.state('cuda')).toEqual({
    usable: false,
    installed: false,
    reason: "Expected to find out whether there is device 'cuda', received no luck",
  });
});

describe('somebody who gives up', () => {
  /** The signals of probes that end when they are cancelled, or with `answers`. */
  function hangingGpus(...answers: Probe[]) {
    addPackage('linux-x64-cuda');
    const signals: AbortSignal[] = [];
    const gpus = new Gpus(
      root,
      () => MAIN,
      LINUX,
      (_, signal) => {
        signals.push(signal as AbortSignal);
        const answer = answers.shift();
        if (answer !== undefined) return Promise.resolve(answer);
        return new Promise((resolve) =>
          signal?.addEventListener('abort', () => resolve({ kind: 'crashes', how: 'SIGKILL' })),
        );
      },
    );
    return { gpus, signals, answers };
  }

  test('ends the probe if nobody else waits, and what came of it is not kept', async () => {
    const { gpus, signals, answers } = hangingGpus();
    const first = new AbortController();
    const second = new AbortController();
    const opening = gpus.openBest(first.signal);
    const state = gpus.state('cuda', second.signal);
    await vi.waitFor(() => expect(signals).toHaveLength(1));
    first.abort(new Error('first'));
    await expect(opening).rejects.toThrow('first');
    expect(signals[0]?.aborted).toBe(false);
    second.abort(new Error('second'));
    await expect(state).rejects.toThrow('second');
    expect(signals[0]?.aborted).toBe(true);
    expect(warnings).toEqual([]);
    answers.push(RUNS);
    expect(await gpus.state('cuda')).toMatchObject({ usable: true });
    expect(signals).toHaveLength(2);
    expect(await gpus.state('cuda', new AbortController().signal)).toMatchObject({ usable: true });
    expect(signals).toHaveLength(2);
  });

  test('before it began tries nothing', async () => {
    const { gpus, signals } = hangingGpus();
    await expect(gpus.state('cuda', AbortSignal.abort(new Error('early')))).rejects.toThrow('early');
    expect(signals).toEqual([]);
  });

  test("is not the one who pressed Ctrl-C in a program that goes on: it's tried again", async () => {
    const { gpus, signals } = hangingGpus({ kind: 'crashes', how: 'SIGINT', interrupted: true }, RUNS);
    expect(await gpus.state('cuda')).toMatchObject({ usable: true });
    expect(signals).toHaveLength(2);
  });
});

describe('a device by its name', () => {
  test.each<[Parameters<Gpus['open']>[0], Partial<Host>, string]>([
    [
      'cuda',
      {},
      `Expected the package @xgen-mm/linux-x64-cuda or a build with CUDA for device 'cuda', received neither: run \`npm install @xgen-mm/linux-x64-cuda@${VERSION}\`, or \`npm run build -- --cuda\``,
    ],
    [
      'cuda',
      { arch: 'arm64' },
      "Expected a build with CUDA for device 'cuda', received none: make one with `npm run build -- --cuda`",
    ],
    ['cuda', { platform: 'darwin' }, "Expected Linux or Windows for device 'cuda', received darwin-x64"],
    [
      'vulkan',
      {},
      "Expected a build with Vulkan for device 'vulkan', received none: make one with `npm run build -- --vulkan`",
    ],
    ['metal', {}, "Expected macOS on an Apple processor for device 'metal', received linux-x64"],
    [
      'metal',
      { platform: 'darwin', arch: 'arm64' },
      "Expected an addon with Metal for device 'metal', received one that was built without: run `npm rebuild xgen-mm`",
    ],
  ])('%s on %j is refused', async (gpu, host, message) => {
    await expect(gpusOf(host).gpus.open(gpu)).rejects.toMatchObject({
      code: 'ERR_XGENMM_DEVICE_UNAVAILABLE',
      message,
    });
    expect(warnings).toEqual([]);
  });

  test('is built in an installed package by a command that can be pasted, whatever the folder is called', async () => {
    root = join(root, 'my app', 'node_modules', 'xgen-mm');
    mkdirSync(root, { recursive: true });
    await expect(gpusOf().gpus.open('vulkan')).rejects.toThrow(
      `make one with \`node "${join(root, 'scripts', 'build-addon.mjs')}" --vulkan\``,
    );
    root = join(root, '..', '..', '..');
  });

  test('an addon that cannot be used says why, each time', async () => {
    addFile('build-vulkan', 'Release', 'xgenmm.node');
    const { gpus, probed } = gpusOf({}, { kind: 'crashes', how: 'SIGABRT' });
    for (let i = 0; i < 2; i++) {
      await expect(gpus.open('vulkan')).rejects.toThrow(
        /^Expected an addon that runs for device 'vulkan', received SIGABRT from the process that tried/,
      );
    }
    expect(probed).toHaveLength(1);
  });
});
