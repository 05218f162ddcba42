import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** The machine, as far as looking for GPUs depends on it. */
export interface Host {
  platform: NodeJS.Platform;
  arch: string;
  /** Whether NVIDIA's driver seems to be there: a look at the disk, nothing is loaded. */
  hasNvidiaDriver: boolean;
  /** musl's systems run none of the binaries that are made for glibc. */
  isMusl: boolean;
}

export function thisHost(): Host {
  return {
    platform: process.platform,
    arch: process.arch,
    hasNvidiaDriver: driverPlaces().some(isThere),
    isMusl: process.platform === 'linux' && isThere('/etc/alpine-release'),
  };
}

/** Node.js's permission model throws for what may not be looked at. */
export function isThere(path: string): boolean {
  try {
    return existsSync(path);
  } catch {
    return false;
  }
}

function driverPlaces(): string[] {
  if (process.platform === 'win32') {
    return [join(process.env.SystemRoot ?? 'C:\\Windows', 'System32', 'nvcuda.dll')];
  }
  // The second is Windows' driver, seen from its Linux.
  return process.platform === 'linux' ? ['/proc/driver/nvidia/version', '/usr/lib/wsl/lib/libcuda.so.1'] : [];
}
