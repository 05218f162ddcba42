import type { NativeTensorType } from '../native.js';
import { GGML_TYPE } from './gguf-header.js';
import type { InputFile } from './input-file.js';

/** What weights can be read in. */
export type Dtype = 'f32' | 'f16' | 'bf16';

/** Bytes of one element. */
export const DTYPE_SIZE: Record<Dtype, number> = { f32: 4, f16: 2, bf16: 2 };

/** The most elements of a chunk; no row of a checked configuration is longer. */
export const CHUNK_ELEMENTS = 2 ** 22;

/** Consecutive bytes on their way from a file into the output. */
export interface Chunk {
  /** The tensor they come from, for messages. */
  name: string;
  /** `undefined`: all of them are zeros. */
  input: InputFile | undefined;
  from: number;
  bytesIn: number;
  to: number;
  bytesOut: number;
  /** `undefined`: they are copied. */
  recoding: Recoding | undefined;
}

/** Rows in one type that become rows in another. */
export interface Recoding {
  dtype: Dtype;
  sourceLength: number;
  /** At least `sourceLength`; what is missing is zeros. */
  rowLength: number;
  type: NativeTensorType;
  /** `rowLength` values. */
  importance: Float32Array | undefined;
}

/** Rows of a tensor, which lie one after another in both files. */
export interface Rows {
  name: string;
  input: InputFile | undefined;
  from: number;
  to: number;
  count: number;
  recoding: Recoding;
}

/** Rows in chunks that fit the pipeline's buffers. */
export function* cutRows({ name, input, from, to, count, recoding }: Rows): Generator<Chunk> {
  const { dtype, sourceLength, rowLength, type } = recoding;
  const { block, size } = GGML_TYPE[type];
  const rowIn = sourceLength * DTYPE_SIZE[dtype];
  const rowOut = (rowLength / block) * size;
  const step = Math.floor(CHUNK_ELEMENTS / rowLength);
  for (let row = 0; row < count; row += step) {
    const rows = Math.min(step, count - row);
    yield {
      name,
      input,
      from: from + row * rowIn,
      bytesIn: rows * rowIn,
      to: to + row * rowOut,
      bytesOut: rows * rowOut,
      recoding,
    };
  }
}

/** Bytes that are copied as they are, in chunks that fit the pipeline's buffers. */
export function* cutBytes(
  name: string,
  input: InputFile,
  from: number,
  to: number,
  bytes: number,
): Generator<Chunk> {
  const step = CHUNK_ELEMENTS * DTYPE_SIZE.f32;
  for (let done = 0; done < bytes; done += step) {
    const length = Math.min(step, bytes - done);
    yield {
      name,
      input,
      from: from + done,
      bytesIn: length,
      to: to + done,
      bytesOut: length,
      recoding: undefined,
    };
  }
}
