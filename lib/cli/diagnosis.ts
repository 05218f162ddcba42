import { availableParallelism, cpus } from 'node:os';
import { type AddonFile, findAddon, loadAddon } from '../addon.js';
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
  sharp: SharpInfo | { fault: Fault };
  /** Whether everything is there that answering questions about pictures takes. */
  usable: boolean;
}

export async function diagnose(version: string): Promise<Diagnosis> {
  const addon = await attempt(findAddon);
  const system = 'fault' in addon ? addon : await attempt(() => translated(() => loadAddon().systemInfo()));
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
    sharp,
    usable: ![addon, system, sharp].some((part) => 'fault' in part),
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
