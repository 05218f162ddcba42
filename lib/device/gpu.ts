/** What can compute beside the CPU. */
export type Gpu = 'cuda' | 'metal' | 'vulkan';
/** What a model can be told to compute on; `auto` is the best that there is. */
export type Device = 'auto' | 'cpu' | 'cuda' | 'metal' | 'vulkan';

/** The best first. */
export const GPUS: readonly Gpu[] = ['cuda', 'metal', 'vulkan'];
export const DEVICES: readonly Device[] = ['auto', 'cpu', ...GPUS];

/** ggml's names of the backends. */
export const BACKENDS: Record<Gpu, string> = { cuda: 'CUDA', metal: 'MTL', vulkan: 'Vulkan' };

export function isGpu(device: Device): device is Gpu {
  return device !== 'auto' && device !== 'cpu';
}
