import { readFileSync } from 'node:fs';

/** GGUF's numbers for the types of values. */
export const VALUE_TYPES = {
  u8: 0,
  i8: 1,
  u16: 2,
  i16: 3,
  u32: 4,
  i32: 5,
  f32: 6,
  bool: 7,
  string: 8,
  array: 9,
  u64: 10,
  i64: 11,
  f64: 12,
} as const;
const { string: STRING, array: ARRAY } = VALUE_TYPES;

const SCALAR_SIZES = [1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8];

/** A value: its bytes as they stand in the file after the type, strings with their length in front. */
export interface GgufValue {
  key: string;
  type: number;
  /** Of an array: the type of its elements. */
  of?: number;
  /** The scalar, or the elements of an array. */
  items: Buffer[];
}

export interface GgufTensor {
  name: string;
  /** Contiguous dimension first. */
  shape: number[];
  /** ggml's number: 0 is F32, 1 F16. */
  type: number;
  data: Buffer;
}

/** A place in a serialised file. */
export interface GgufField {
  /** What stands there, for example `phi3.block_count type` or `output.bias offset`. */
  name: string;
  kind:
    | 'magic'
    | 'version'
    | 'count'
    | 'length'
    | 'text'
    | 'type'
    | 'value'
    | 'dimension'
    | 'offset'
    | 'data';
  offset: number;
  size: number;
}

/** A GGUF file taken apart, to be changed and put together again, wrongly if so wanted. */
export class GgufFile {
  alignment = 32;

  constructor(
    public values: GgufValue[],
    public tensors: GgufTensor[],
  ) {}

  static read(path: string): GgufFile {
    return new Reader(readFileSync(path)).file();
  }

  /** Replaces the value of a key, or adds the key. */
  set(key: string, type: number, ...items: Buffer[]): this {
    const value = { key, type, items };
    const index = this.values.findIndex((known) => known.key === key);
    if (index < 0) this.values.push(value);
    else this.values[index] = value;
    return this;
  }

  u32(key: string): number {
    return (this.value(key).items[0] as Buffer).readUInt32LE();
  }

  setU32(key: string, value: number): this {
    return this.set(key, VALUE_TYPES.u32, numberBytes(VALUE_TYPES.u32, value));
  }

  setString(key: string, value: string): this {
    return this.set(key, STRING, stringBytes(value));
  }

  value(key: string): GgufValue {
    const value = this.values.find((known) => known.key === key);
    if (value === undefined) throw new Error(`no key ${key}`);
    return value;
  }

  tensor(name: string): GgufTensor {
    const tensor = this.tensors.find((known) => known.name === name);
    if (tensor === undefined) throw new Error(`no tensor ${name}`);
    return tensor;
  }

  /** A copy whose values and tensors can be changed; the data is shared. */
  clone(): GgufFile {
    const copy = new GgufFile(
      this.values.map((value) => ({ ...value, items: [...value.items] })),
      this.tensors.map((tensor) => ({ ...tensor, shape: [...tensor.shape] })),
    );
    copy.alignment = this.alignment;
    return copy;
  }

  serialise(): { bytes: Buffer; fields: GgufField[] } {
    const writer = new Writer();
    writer.add('magic', 'magic', Buffer.from('GGUF'));
    writer.add('version', 'version', numberBytes(VALUE_TYPES.u32, 3));
    writer.add('tensor count', 'count', numberBytes(VALUE_TYPES.u64, this.tensors.length));
    writer.add('value count', 'count', numberBytes(VALUE_TYPES.u64, this.values.length));
    for (const value of this.values) writer.addValue(value);
    let offset = 0;
    for (const tensor of this.tensors) {
      writer.addTensor(tensor, offset);
      offset += align(tensor.data.length, this.alignment);
    }
    for (const { name, data } of this.tensors) {
      writer.pad(this.alignment);
      writer.add(name, 'data', data);
    }
    return writer.finish();
  }
}

/** A number as a value of that type. */
export function numberBytes(type: number, value: number): Buffer {
  const bytes = Buffer.alloc(8);
  const { u8, i8, u16, i16, u32, i32, f32, bool, u64, i64 } = VALUE_TYPES;
  if (type === u8 || type === bool) bytes.writeUInt8(value);
  else if (type === i8) bytes.writeInt8(value);
  else if (type === u16) bytes.writeUInt16LE(value);
  else if (type === i16) bytes.writeInt16LE(value);
  else if (type === u32) bytes.writeUInt32LE(value);
  else if (type === i32) bytes.writeInt32LE(value);
  else if (type === f32) bytes.writeFloatLE(value);
  else if (type === u64) bytes.writeBigUInt64LE(BigInt(value));
  else if (type === i64) bytes.writeBigInt64LE(BigInt(value));
  else bytes.writeDoubleLE(value);
  return bytes.subarray(0, SCALAR_SIZES[type]);
}

export function stringBytes(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([numberBytes(VALUE_TYPES.u64, bytes.length), bytes]);
}

function align(size: number, alignment: number): number {
  return Math.ceil(size / alignment) * alignment;
}

class Reader {
  #position = 4;

  constructor(readonly bytes: Buffer) {}

  file(): GgufFile {
    this.#take(4);
    const tensors = this.#length();
    const values = this.#length();
    const file = new GgufFile(
      Array.from({ length: values }, () => this.#value()),
      [],
    );
    const infos = Array.from({ length: tensors }, () => this.#tensor());
    const start = align(this.#position, file.alignment);
    const ends = infos.map(({ offset }) => offset).concat(this.bytes.length - start);
    file.tensors = infos.map(({ offset, ...info }, i) => ({
      ...info,
      data: this.bytes.subarray(start + offset, start + (ends[i + 1] as number)),
    }));
    return file;
  }

  #value(): GgufValue {
    const key = this.#text();
    const type = this.#number();
    if (type !== ARRAY) return { key, type, items: [this.#item(type)] };
    const of = this.#number();
    return { key, type, of, items: Array.from({ length: this.#length() }, () => this.#item(of)) };
  }

  #item(type: number): Buffer {
    if (type !== STRING) return this.#take(SCALAR_SIZES[type] as number);
    const start = this.#position;
    this.#text();
    return this.bytes.subarray(start, this.#position);
  }

  #tensor() {
    const name = this.#text();
    const shape = Array.from({ length: this.#number() }, () => this.#length());
    return { name, shape, type: this.#number(), offset: this.#length() };
  }

  #text(): string {
    return this.#take(this.#length()).toString();
  }

  #number(): number {
    return this.#take(4).readUInt32LE();
  }

  #length(): number {
    return Number(this.#take(8).readBigUInt64LE());
  }

  #take(count: number): Buffer {
    this.#position += count;
    return this.bytes.subarray(this.#position - count, this.#position);
  }
}

class Writer {
  readonly #parts: Buffer[] = [];
  readonly #fields: GgufField[] = [];
  #size = 0;

  add(name: string, kind: GgufField['kind'], bytes: Buffer): void {
    this.#fields.push({ name, kind, offset: this.#size, size: bytes.length });
    this.#append(bytes);
  }

  addValue({ key, type, of, items }: GgufValue): void {
    this.#addText(`${key} key`, stringBytes(key));
    this.add(`${key} type`, 'type', numberBytes(VALUE_TYPES.u32, type));
    if (of !== undefined) {
      this.add(`${key} element type`, 'type', numberBytes(VALUE_TYPES.u32, of));
      this.add(`${key} count`, 'count', numberBytes(VALUE_TYPES.u64, items.length));
      this.add(`${key} elements`, 'value', Buffer.concat(items));
    } else if (type === STRING) {
      this.#addText(key, Buffer.concat(items));
    } else {
      this.add(key, 'value', Buffer.concat(items));
    }
  }

  addTensor({ name, shape, type }: GgufTensor, offset: number): void {
    this.#addText(`${name} name`, stringBytes(name));
    this.add(`${name} dimensions`, 'count', numberBytes(VALUE_TYPES.u32, shape.length));
    shape.forEach((side, d) => {
      this.add(`${name} dimension ${d}`, 'dimension', numberBytes(VALUE_TYPES.u64, side));
    });
    this.add(`${name} type`, 'type', numberBytes(VALUE_TYPES.u32, type));
    this.add(`${name} offset`, 'offset', numberBytes(VALUE_TYPES.u64, offset));
  }

  pad(alignment: number): void {
    this.#append(Buffer.alloc(align(this.#size, alignment) - this.#size));
  }

  finish(): { bytes: Buffer; fields: GgufField[] } {
    return { bytes: Buffer.concat(this.#parts), fields: this.#fields };
  }

  #addText(name: string, bytes: Buffer): void {
    this.add(`${name} length`, 'length', bytes.subarray(0, 8));
    this.add(`${name} text`, 'text', bytes.subarray(8));
  }

  #append(bytes: Buffer): void {
    this.#parts.push(bytes);
    this.#size += bytes.length;
  }
}
