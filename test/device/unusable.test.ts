import { describe, expect, test } from 'vitest';
import type { Gpu } from '../../lib/device/gpu.js';
import type { Host } from '../../lib/device/host.js';
import type { Probe } from '../../lib/device/probe.js';
import { explainLoadFailure, judgeProbe } from '../../lib/device/unusable.js';

const LINUX: Host = { platform: 'linux', arch: 'x64', hasNvidiaDriver: false, isMusl: false };
const WINDOWS: Host = { ...LINUX, platform: 'win32' };
const MAC: Host = { ...LINUX, platform: 'darwin' };
const PATH = '/app/node_modules/@xgen-mm/linux-x64-cuda/xgenmm.node';

/** What the loaders really say, and what becomes of it. */
const TEXTS: [name: string, gpu: Gpu, host: Host, text: string, sentence: string][] = [
  [
    'glibc: no driver',
    'cuda',
    LINUX,
    'libcuda.so.1: cannot open shared object file: No such file or directory',
    "Expected NVIDIA's driver for device 'cuda', received no libcuda.so.1: install the driver, or give the container its GPUs (`docker run --gpus all`)",
  ],
  [
    'glibc: no cuBLAS',
    'cuda',
    LINUX,
    'libcublas.so.13: cannot open shared object file: No such file or directory',
    "Expected cuBLAS for device 'cuda', received no libcublas.so.13: install the CUDA 13 toolkit or its cuBLAS alone, or name its folder in LD_LIBRARY_PATH",
  ],
  [
    'glibc: half of cuBLAS',
    'cuda',
    LINUX,
    'libcublasLt.so.12: cannot open shared object file: No such file or directory',
    "Expected cuBLAS for device 'cuda', received no libcublasLt.so.12: install the CUDA 12 toolkit or its cuBLAS alone, or name its folder in LD_LIBRARY_PATH",
  ],
  [
    "glibc: no loader of Vulkan's",
    'vulkan',
    LINUX,
    'libvulkan.so.1: cannot open shared object file: No such file or directory',
    "Expected Vulkan's loader for device 'vulkan', received no libvulkan.so.1: install the GPU's driver and the loader (Debian and Ubuntu: libvulkan1)",
  ],
  [
    'glibc: another library',
    'cuda',
    LINUX,
    'libnccl.so.2: cannot open shared object file: No such file or directory',
    `Expected libnccl.so.2, which the addon at ${PATH} needs, received: no such file on this system (device 'cuda')`,
  ],
  [
    'glibc: too old',
    'cuda',
    LINUX,
    `/lib/x86_64-linux-gnu/libc.so.6: version \`GLIBC_2.38' not found (required by ${PATH})`,
    `Expected glibc 2.38 or newer, which the addon at ${PATH} was built for, received an older one (device 'cuda')`,
  ],
  [
    'glibc: an old driver',
    'cuda',
    LINUX,
    `${PATH}: undefined symbol: cuMemCreate`,
    "Expected a driver of NVIDIA's with cuMemCreate for device 'cuda', received an older one: update the driver",
  ],
  [
    'glibc: another fault',
    'cuda',
    LINUX,
    `${PATH}: invalid ELF header`,
    `Expected an addon at ${PATH}, received a damaged file (invalid ELF header) (device 'cuda')`,
  ],
  [
    'musl: no driver',
    'cuda',
    LINUX,
    `Error loading shared library libcuda.so.1: No such file or directory (needed by ${PATH})`,
    "Expected NVIDIA's driver for device 'cuda', received no libcuda.so.1: install the driver, or give the container its GPUs (`docker run --gpus all`)",
  ],
  [
    'musl: an addon for glibc',
    'cuda',
    LINUX,
    `Error loading shared library ld-linux-x86-64.so.2: No such file or directory (needed by ${PATH})`,
    `Expected an addon for musl, received ${PATH}, which was built for glibc (device 'cuda')`,
  ],
  [
    'musl: an old driver',
    'cuda',
    LINUX,
    `Error relocating ${PATH}: cuMemCreate: symbol not found`,
    "Expected a driver of NVIDIA's with cuMemCreate for device 'cuda', received an older one: update the driver",
  ],
  [
    'Windows: no driver',
    'cuda',
    WINDOWS,
    'The specified module could not be found.\r\n\\\\?\\C:\\app\\node_modules\\@xgen-mm\\win32-x64-cuda\\xgenmm.node',
    "Expected NVIDIA's driver for device 'cuda', received no nvcuda.dll: install the driver, or give the container its GPUs (`docker run --gpus all`)",
  ],
  [
    'Windows: no cuBLAS',
    'cuda',
    { ...WINDOWS, hasNvidiaDriver: true },
    'The specified module could not be found.\r\n\\\\?\\C:\\app\\node_modules\\@xgen-mm\\win32-x64-cuda\\xgenmm.node',
    "Expected cuBLAS for device 'cuda', received no cublas64 DLL: install the CUDA toolkit or its cuBLAS alone, or name its folder in PATH",
  ],
  [
    "Windows: no loader of Vulkan's",
    'vulkan',
    { ...WINDOWS, hasNvidiaDriver: true },
    'The specified module could not be found.\r\n\\\\?\\C:\\app\\build-vulkan\\Release\\xgenmm.node',
    "Expected Vulkan's loader for device 'vulkan', received no vulkan-1.dll: install the GPU's driver, which brings it",
  ],
  [
    'Windows: another fault',
    'cuda',
    WINDOWS,
    '\\\\?\\C:\\app\\xgenmm.node is not a valid Win32 application.\r\n\\\\?\\C:\\app\\xgenmm.node',
    `Expected an addon for win32-x64, received ${PATH}, which was built for another processor or system (device 'cuda')`,
  ],
  [
    'macOS: no Vulkan',
    'vulkan',
    MAC,
    "dlopen(/app/build-vulkan/Release/xgenmm.node, 0x0001): Library not loaded: @rpath/libvulkan.1.dylib\n  Referenced from: <0B3A> /app/build-vulkan/Release/xgenmm.node\n  Reason: tried: '/usr/local/lib/libvulkan.1.dylib' (no such file)",
    "Expected Vulkan's loader for device 'vulkan', received no libvulkan.1.dylib: install the Vulkan SDK, which brings it",
  ],
];

test.each(TEXTS)('%s', (_, gpu, host, text, sentence) => {
  expect(explainLoadFailure(gpu, PATH, text, host)).toBe(sentence);
});

describe('what was tried in another process', () => {
  const device = {
    name: 'CPU',
    description: 'a processor',
    backend: 'CPU',
    kind: 'cpu' as const,
    freeBytes: 1,
    totalBytes: 2,
  };
  const judge = (probe: Probe, gpu: Gpu = 'cuda') => judgeProbe(gpu, PATH, probe, '1.2.3', LINUX);

  test('a GPU of the kind makes it usable', () => {
    const devices = [{ ...device, name: 'CUDA0', backend: 'CUDA', kind: 'gpu' as const }, device];
    expect(judge({ kind: 'runs', identity: 'xgen-mm 1.2.3 cuda', devices })).toBe(devices);
    expect(judge({ kind: 'runs', identity: 'xgen-mm 1.2.3 vulkan', devices }, 'vulkan')).toMatch(
      /^Expected a GPU with a Vulkan driver/,
    );
  });

  test.each<[string, unknown]>([
    ['none', undefined],
    ['no list', { length: 1 }],
    ['null', [null]],
    ['a text', ['CUDA0']],
    ['one without a backend', [{ ...device, backend: undefined }]],
    ['one whose memory is no number', [{ ...device, backend: 'CUDA', freeBytes: null }]],
  ])('devices that are %s are refused', (_, devices) => {
    expect(judge({ kind: 'runs', identity: 'xgen-mm 1.2.3 cuda', devices })).toBe(
      `Expected an addon that lists its devices for device 'cuda', received something else from ${PATH}: build or install it again`,
    );
  });

  test('an addon that does not say what it is is refused', () => {
    expect(judge({ kind: 'runs', identity: undefined, devices: [device] })).toMatch(
      /^Expected an addon that is xgen-mm 1\.2\.3 cuda for device 'cuda', received undefined at \/app/,
    );
  });

  test.each<[Probe, RegExp]>([
    [
      { kind: 'runs', identity: 'xgen-mm 1.2.3 cuda', devices: [device] },
      /^Expected an NVIDIA GPU for device 'cuda', received none: `nvidia-smi` lists/,
    ],
    [
      { kind: 'crashes', how: 'SIGSEGV' },
      /^Expected an addon that runs for device 'cuda', received SIGSEGV from the process that tried \/app/,
    ],
    [
      {
        kind: 'does not load',
        text: 'libcuda.so.1: cannot open shared object file: No such file or directory',
      },
      /^Expected NVIDIA's driver/,
    ],
  ])('%j', (probe, sentence) => {
    expect(judge(probe)).toMatch(sentence);
  });
});
