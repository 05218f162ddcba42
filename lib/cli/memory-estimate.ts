import type { NativeSystemInfo } from '../native.js';
import type { NativeInspection } from '../native-file.js';

export type KvType = 'f32' | 'f16' | 'q8_0';
const KV_TYPES: readonly KvType[] = ['f32', 'f16', 'q8_0'];

/** What a model takes with a context of that size and keys and values of that type. */
export interface MemoryEstimate {
  contextSize: number;
  kvType: KvType;
  /** Of all sequences. */
  kvBytes: number;
  /** Weights, `kvBytes` and working memory. */
  bytes: number;
  fits: boolean;
}

export interface DeviceEstimate {
  device: string;
  description: string;
  freeBytes: number;
  totalBytes: number;
  estimates: MemoryEstimate[];
}

/** What the model would take on each device. */
export function estimateMemory(
  { text, tensors, workingBytes }: NativeInspection,
  { devices }: NativeSystemInfo,
  sequences: number,
): DeviceEstimate[] {
  const weights = tensors.reduce((sum, { bytes }) => sum + bytes, 0);
  return devices.map(({ name, description, freeBytes, totalBytes }) => ({
    device: name,
    description,
    freeBytes,
    totalBytes,
    estimates: (text?.kv ?? []).flatMap((kv) =>
      KV_TYPES.flatMap((kvType) => {
        const slot = kv[kvType];
        if (slot === undefined) return [];
        const kvBytes = slot * sequences;
        const bytes = weights + workingBytes + kvBytes;
        return [{ contextSize: kv.contextSize, kvType, kvBytes, bytes, fits: bytes <= freeBytes }];
      }),
    ),
  }));
}
