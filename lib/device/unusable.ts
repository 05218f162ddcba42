import { dirname } from 'node:path';
import { describeAddonFault } from '../addon-fault.js';
import type { NativeDevice } from '../native.js';
import { BACKENDS, type Gpu } from './gpu.js';
import type { Host } from './host.js';
import type { Probe } from './probe.js';

/** The devices that were found, a GPU among them; else why it cannot be used although there is an addon for it, in one sentence. `version`: this package's. */
export function judgeProbe(
  gpu: Gpu,
  path: string,
  probe: Probe,
  version: string,
  host: Host,
): NativeDevice[] | string {
  if (probe.kind === 'does not load') return explainLoadFailure(gpu, path, probe.text, host);
  if (probe.kind === 'crashes') {
    return sentence(gpu, 'an addon that runs', `${probe.how} from the process that tried ${path}`);
  }
  const identity = `xgen-mm ${version} ${gpu}`;
  if (probe.identity !== identity) {
    return sentence(
      gpu,
      `an addon that is ${identity}`,
      `${probe.identity} at ${path}: build or install it again`,
    );
  }
  if (!areDevices(probe.devices)) {
    return sentence(
      gpu,
      'an addon that lists its devices',
      `something else from ${path}: build or install it again`,
    );
  }
  if (probe.devices.some(({ backend }) => backend === BACKENDS[gpu])) return probe.devices;
  return sentence(gpu, GPU[gpu].device, `none: ${GPU[gpu].advice}`);
}

/** Numbers that JSON does not know are null. */
function areDevices(devices: unknown): devices is NativeDevice[] {
  return (
    Array.isArray(devices) &&
    devices.every((device: Record<keyof NativeDevice, unknown> | null) => {
      if (typeof device !== 'object' || device === null) return false;
      const { name, description, backend, kind, freeBytes, totalBytes } = device;
      return (
        [name, description, backend, kind].every((text) => typeof text === 'string') &&
        [freeBytes, totalBytes].every((bytes) => typeof bytes === 'number')
      );
    })
  );
}

/** Why an addon did not load, from what the system's loader said: glibc's, musl's, macOS' or Windows'. */
export function explainLoadFailure(gpu: Gpu, path: string, text: string, host: Host): string {
  const library = missingLibrary(gpu, text, host);
  if (library !== undefined) {
    if (/^(libcuda\.so|nvcuda)/.test(library)) {
      return sentence(
        gpu,
        "NVIDIA's driver",
        `no ${library}: install the driver, or give the container its GPUs (\`docker run --gpus all\`)`,
      );
    }
    if (/cublas/i.test(library)) {
      const major = /\.so\.(\d+)$/.exec(library)?.[1];
      const toolkit = major === undefined ? 'the CUDA toolkit' : `the CUDA ${major} toolkit`;
      const search = host.platform === 'win32' ? 'PATH' : 'LD_LIBRARY_PATH';
      return sentence(
        gpu,
        'cuBLAS',
        `no ${library}: install ${toolkit} or its cuBLAS alone, or name its folder in ${search}`,
      );
    }
    if (/vulkan/i.test(library)) {
      return sentence(
        gpu,
        "Vulkan's loader",
        `no ${library}: install ${VULKAN_LOADER[host.platform] ?? 'it'}`,
      );
    }
  }
  // The driver's functions begin with cu and a capital letter.
  const missing = /undefined symbol: (cu[A-Z]\w*)|Error relocating \S+: (cu[A-Z]\w*): symbol not found/.exec(
    text,
  );
  if (missing !== null) {
    return sentence(
      gpu,
      `a driver of NVIDIA's with ${missing[1] ?? missing[2]}`,
      'an older one: update the driver',
    );
  }
  const { problem } = describeAddonFault({ root: dirname(path), path, reason: text }, host);
  return `${problem} (device '${gpu}')`;
}

/** The library that was not found; on Windows the one that is most likely, as LoadLibrary does not say. */
function missingLibrary(gpu: Gpu, text: string, { platform, hasNvidiaDriver }: Host): string | undefined {
  if (platform === 'win32') {
    if (!/module could not be found/.test(text)) return undefined;
    if (gpu === 'vulkan') return 'vulkan-1.dll';
    return hasNvidiaDriver ? 'cublas64 DLL' : 'nvcuda.dll';
  }
  const named =
    /(?:^|\s)(\S+): cannot open shared object file: No such file/.exec(text) ??
    /Error loading shared library (\S+): No such file/.exec(text) ??
    /Library not loaded: (\S+)/.exec(text);
  return named?.[1]?.split('/').at(-1);
}

const GPU: Record<Gpu, { device: string; advice: string }> = {
  cuda: {
    device: 'an NVIDIA GPU',
    advice:
      '`nvidia-smi` lists what the driver offers, CUDA_VISIBLE_DEVICES may hide it, and a driver older than the addon offers nothing',
  },
  metal: { device: 'a GPU with Metal', advice: 'this machine offers none' },
  vulkan: { device: 'a GPU with a Vulkan driver', advice: '`vulkaninfo --summary` lists what there is' },
};

/** Where it comes from. */
const VULKAN_LOADER: Partial<Record<NodeJS.Platform, string>> = {
  linux: "the GPU's driver and the loader (Debian and Ubuntu: libvulkan1)",
  win32: "the GPU's driver, which brings it",
  darwin: 'the Vulkan SDK, which brings it',
};

function sentence(gpu: Gpu, expected: string, received: string): string {
  return `Expected ${expected} for device '${gpu}', received ${received}`;
}
