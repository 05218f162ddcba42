import { availableParallelism, cpus } from 'node:os';
import { type AddonFile, findAddon, loadAddon } from '../addon.js';
import { gpus } from '../device/addon-for.js';
import type { Gpu } from '../device/gpu.js';
import type { GpuState } from '../device/gpus.js';
import { translated } from '../engine.js';
import { XgenmmError } from '../errors.js';
import { FORMATS } from '../image.js';
import type { NativeSystemInfo } from '../native.js';

/** Why a part is of no use. */
export interface Fault {
  code: string;
  message: string;
}

export interface SharpInfo {
  version: string;
  libvips: string;
  /** Of those that this package reads. */
  formats: string[];
}

/** What the package stands on here, each part as it is or why it is not. */
export interface Diagnosis {
  version: string;
  node: string;
  platform: string;
  arch: string;
  cpu: string;
  /** Processors that this process may use. */
  processors: number;
  addon: AddonFile | { fault: Fault };
  system: NativeSystemInfo | { fault: Fault };
  /** Each kind of GPU as it was found, and what `device: 'auto'` takes. */
  gpus: (Record<Gpu, GpuState> & { auto: Gpu | 'cpu' }) | { fault: Fault };
  sharp: SharpInfo | { fault: Fault };
  /** Whether everything is there that answering questions about pictures takes. */
  usable: boolean;
}

export async function diagnose(version: string): Promise<Diagnosis> {
  const addon = await attempt(findAddon);
  const system = 'fault' in addon ? addon : await attempt(() => translated(() => loadAddon().systemInfo()));
  const found = 'fault' in system ? system : await attempt(inspectGpus);
  const sharp = await attempt(inspectSharp);
  return {
    version,
    node: process.versions.node,
    platform: process.platform,
    arch: process.arch,
    cpu: cpus()[0]?.model ?? '',
    processors: availableParallelism(),
    addon,
    system,
    gpus: found,
    sharp,
    usable: ![addon, system, sharp].some((part) => 'fault' in part),
  };
}

async function inspectGpus(): Promise<Record<Gpu, GpuState> & { auto: Gpu | 'cpu' }> {
  return {
    cuda: await gpus.state('cuda'),
    metal: await gpus.state('metal'),
    vulkan: await gpus.state('vulkan'),
    auto: (await gpus.best()) ?? 'cpu',
  };
}

async function inspectSharp(): Promise<SharpInfo> {
  const { default: sharp } = await import('sharp');
  const available = sharp.format as unknown as Record<string, { input: { buffer: boolean } } | undefined>;
  return {
    version: sharp.versions.sharp ?? '',
    libvips: sharp.versions.vips,
    formats: FORMATS.filter((name) => available[name]?.input.buffer),
  };
}

async function attempt<T>(look: () => T | Promise<T>): Promise<T | { fault: Fault }> {
  try {
    return await look();
  } catch (error) {
    const message = (error instanceof Error ? error.message : String(error)).trim();
    return {
      fault: { code: error instanceof XgenmmError ? error.code : 'ERR_XGENMM_IMAGE_DECODE', message },
    };
  }
}
