import { readFile } from 'node:fs/promises';

export interface GgufTensor {
  /** ggml's order. */
  shape: number[];
  /** ggml's number of the type. */
  type: number;
  bytes: Buffer;
}

export interface Gguf {
  /** Values with the name of their GGUF type, as in `u32` or `string[]`. */
  metadata: Map<string, { type: string; value: unknown }>;
  tensors: Map<string, GgufTensor>;
  /** Everything in front of the data. */
  header: Buffer;
}

const TYPES: Record<number, string> = { 4: 'u32', 5: 'i32', 6: 'f32', 7: 'bool', 8: 'string' };
const ARRAY = 9;
/** By ggml's number of a type: the elements of a block and its bytes. */
const BLOCKS: Record<number, [elements: number, bytes: number]> = {
  0: [1, 4],
  1: [1, 2],
  2: [32, 18],
  8: [32, 34],
  12: [256, 144],
  13: [256, 176],
  14: [256, 210],
  20: [32, 18],
  30: [1, 2],
};

/** Reads a GGUF file and checks what the format demands of its layout. */
export async function readGguf(path: string): Promise<Gguf> {
  const file = await readFile(path);
  let position = 0;
  const take = (length: number) => {
    if (position + length > file.length) throw new Error(`${path} ends in its header`);
    position += length;
    return file.subarray(position - length, position);
  };
  const u32 = () => take(4).readUInt32LE();
  const u64 = () => Number(take(8).readBigUInt64LE());
  const string = () => take(u64()).toString();
  const scalar = (type: string): unknown => {
    if (type === 'u32') return u32();
    if (type === 'i32') return take(4).readInt32LE();
    if (type === 'f32') return take(4).readFloatLE();
    if (type === 'bool') return take(1)[0] === 1;
    if (type === 'string') return string();
    throw new Error(`${path} has a value of an unexpected type`);
  };
  const typeName = (type: number) => TYPES[type] ?? `unknown ${type}`;

  if (take(4).toString() !== 'GGUF' || u32() !== 3) throw new Error(`${path} is no GGUF 3`);
  const tensorCount = u64();
  const keyCount = u64();
  const metadata: Gguf['metadata'] = new Map();
  for (let i = 0; i < keyCount; i++) {
    const key = string();
    if (metadata.has(key)) throw new Error(`${path} has ${key} twice`);
    const type = u32();
    if (type === ARRAY) {
      const element = typeName(u32());
      metadata.set(key, {
        type: `${element}[]`,
        value: Array.from({ length: u64() }, () => scalar(element)),
      });
    } else {
      metadata.set(key, { type: typeName(type), value: scalar(typeName(type)) });
    }
  }
  const infos = Array.from({ length: tensorCount }, () => ({
    name: string(),
    shape: Array.from({ length: u32() }, u64),
    type: u32(),
    offset: u64(),
  }));
  const start = Math.ceil(position / 32) * 32;
  const tensors: Gguf['tensors'] = new Map();
  let end = 0;
  for (const { name, shape, type, offset } of infos) {
    if (offset !== end) throw new Error(`${name} starts at ${offset}, not at ${end}`);
    if (tensors.has(name)) throw new Error(`${path} has ${name} twice`);
    const [elements, bytes] = BLOCKS[type] as [number, number];
    const length = (shape.reduce((product, side) => product * side, 1) / elements) * bytes;
    tensors.set(name, { shape, type, bytes: file.subarray(start + offset, start + offset + length) });
    end = Math.ceil((offset + length) / 32) * 32;
  }
  if (file.length !== start + end) throw new Error(`${path} has ${file.length} bytes, not ${start + end}`);
  return { metadata, tensors, header: file.subarray(0, start) };
}
