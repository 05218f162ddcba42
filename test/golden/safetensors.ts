import { readFileSync } from 'node:fs';

export interface Tensor {
  /** Row-major: the last dimension is contiguous. */
  shape: number[];
  values: Float32Array | Int32Array | Uint8Array;
}

const ARRAYS = { F32: Float32Array, I32: Int32Array, U8: Uint8Array };

interface Entry {
  dtype: keyof typeof ARRAYS;
  shape: number[];
  data_offsets: [number, number];
}

export function readSafetensors(path: string): Map<string, Tensor> {
  const bytes = readFileSync(path);
  const start = 8 + Number(bytes.readBigUInt64LE());
  const header = JSON.parse(bytes.toString('utf8', 8, start)) as Record<string, Entry>;
  const tensors = new Map<string, Tensor>();
  for (const [name, { dtype, shape, data_offsets }] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const data = bytes.subarray(start + data_offsets[0], start + data_offsets[1]);
    // A copy: typed arrays want their values aligned.
    tensors.set(name, { shape, values: new ARRAYS[dtype](new Uint8Array(data).buffer) });
  }
  return tensors;
}
