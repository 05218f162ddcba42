import type { NativeTensorType } from '../native.js';

/** Where tensors start, relative to the data and to each other, in bytes. */
export const ALIGNMENT = 32;

/** Numbers of the value types that this format uses, as GGUF defines them. */
const VALUE_TYPE = { u32: 4, i32: 5, f32: 6, bool: 7, string: 8, array: 9 } as const;

/** ggml's numbers of the tensor types, the elements of a block, and its bytes. */
export const GGML_TYPE = {
  f32: { id: 0, block: 1, size: 4 },
  f16: { id: 1, block: 1, size: 2 },
  q4_0: { id: 2, block: 32, size: 18 },
  q8_0: { id: 8, block: 32, size: 34 },
  q4_K: { id: 12, block: 256, size: 144 },
  q5_K: { id: 13, block: 256, size: 176 },
  q6_K: { id: 14, block: 256, size: 210 },
  iq4_nl: { id: 20, block: 32, size: 18 },
  bf16: { id: 30, block: 1, size: 2 },
} as const satisfies Record<NativeTensorType, { id: number; block: number; size: number }>;

export type Value =
  | { type: 'u32' | 'f32'; value: number }
  | { type: 'bool'; value: boolean }
  | { type: 'string'; value: string }
  | { type: 'array'; of: 'i32' | 'f32'; value: number[] }
  | { type: 'array'; of: 'string'; value: string[] }
  /** Key, type and value as they stand in a file. */
  | { type: 'pair'; bytes: Uint8Array };

export interface TensorInfo {
  name: string;
  /** ggml's order: the contiguous dimension first. */
  shape: number[];
  type: NativeTensorType;
}

export interface Layout {
  /** Everything in front of the data, padded. */
  header: Uint8Array;
  /** Position of each tensor in the file, in the order given. */
  positions: number[];
  /** Bytes of the whole file. */
  size: number;
}

/** GGUF version 3, little-endian. */
export function layOut(metadata: Map<string, Value>, tensors: TensorInfo[]): Layout {
  const writer = new HeaderWriter();
  writer.bytes(Buffer.from('GGUF'));
  writer.u32(3);
  writer.u64(tensors.length);
  writer.u64(metadata.size);
  for (const [key, value] of metadata) writer.pair(key, value);
  const offsets: number[] = [];
  let dataSize = 0;
  for (const { name, shape, type } of tensors) {
    writer.string(name);
    writer.u32(shape.length);
    for (const side of shape) writer.u64(side);
    writer.u32(GGML_TYPE[type].id);
    writer.u64(dataSize);
    offsets.push(dataSize);
    dataSize += align(storedBytes(type, shape));
  }
  const header = writer.finish();
  return {
    header,
    positions: offsets.map((offset) => header.length + offset),
    size: header.length + dataSize,
  };
}

/** Bytes of a tensor, whose rows must be whole blocks. */
export function storedBytes(type: NativeTensorType, shape: readonly number[]): number {
  const { block, size } = GGML_TYPE[type];
  return (shape.reduce((product, side) => product * side, 1) / block) * size;
}

class HeaderWriter {
  private readonly chunks: Uint8Array[] = [];

  bytes(bytes: Uint8Array): void {
    this.chunks.push(bytes);
  }

  u32(value: number): void {
    const chunk = Buffer.alloc(4);
    chunk.writeUInt32LE(value);
    this.bytes(chunk);
  }

  u64(value: number): void {
    const chunk = Buffer.alloc(8);
    chunk.writeBigUInt64LE(BigInt(value));
    this.bytes(chunk);
  }

  i32(value: number): void {
    const chunk = Buffer.alloc(4);
    chunk.writeInt32LE(value);
    this.bytes(chunk);
  }

  f32(value: number): void {
    const chunk = Buffer.alloc(4);
    chunk.writeFloatLE(value);
    this.bytes(chunk);
  }

  string(value: string): void {
    const chunk = Buffer.from(value);
    this.u64(chunk.length);
    this.bytes(chunk);
  }

  pair(key: string, value: Value): void {
    if (value.type === 'pair') {
      this.bytes(value.bytes);
      return;
    }
    this.string(key);
    this.u32(VALUE_TYPE[value.type]);
    switch (value.type) {
      case 'u32':
        this.u32(value.value);
        break;
      case 'f32':
        this.f32(value.value);
        break;
      case 'bool':
        this.bytes(Uint8Array.of(value.value ? 1 : 0));
        break;
      case 'string':
        this.string(value.value);
        break;
      case 'array':
        this.array(value);
    }
  }

  private array(array: Extract<Value, { type: 'array' }>): void {
    this.u32(VALUE_TYPE[array.of]);
    this.u64(array.value.length);
    if (array.of === 'string') for (const text of array.value) this.string(text);
    else if (array.of === 'f32') for (const number of array.value) this.f32(number);
    else for (const number of array.value) this.i32(number);
  }

  finish(): Uint8Array {
    const length = this.chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    // Buffer.concat fills what is left with zeros.
    return Buffer.concat(this.chunks, align(length));
  }
}

function align(size: number): number {
  return Math.ceil(size / ALIGNMENT) * ALIGNMENT;
}
