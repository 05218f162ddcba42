import { loadAddon, ROOT } from '../addon.js';
import type { NativeModule } from '../native.js';
import { type Device, isGpu } from './gpu.js';
import { Gpus } from './gpus.js';

/** Those of this installation. */
export const gpus = new Gpus(ROOT, loadAddon);

/**
 * The addon that computes on these devices: on at most one kind of GPU. Rejects with `signal.reason`, with
 * ERR_XGENMM_DEVICE_UNAVAILABLE, or with ERR_XGENMM_ADDON_UNAVAILABLE if there is none at all.
 */
export async function addonFor(
  device: Device,
  visionDevice: Device,
  signal?: AbortSignal,
): Promise<NativeModule> {
  const gpu = [device, visionDevice].find(isGpu);
  if (gpu !== undefined) return gpus.open(gpu, signal);
  return device === 'cpu' && visionDevice === 'cpu' ? loadAddon() : gpus.openBest(signal);
}
