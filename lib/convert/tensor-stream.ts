import { XgenmmError } from '../errors.js';
import { narrowToBf16, narrowToF16, widenBf16, widenF16 } from './float16.js';
import type { GgmlType } from './gguf-header.js';
import { DTYPE_SIZE, type Dtype, readFully, type StoredTensor } from './safetensors.js';
import type { Source, TensorPlan } from './tensors.js';

/** Elements held at once; no row of a checked configuration is longer. */
const CHUNK = 2 ** 22;

/** Takes planned tensors from a checkpoint, chunk by chunk, in the type of the file. */
export class TensorStream {
  private readonly stored = new ArrayBuffer(4 * CHUNK);
  private readonly bits = new Uint32Array(CHUNK);
  private readonly halves = new Uint16Array(CHUNK);

  constructor(private readonly tensors: Map<string, StoredTensor>) {}

  /** The bytes of one tensor of the file, in order; a chunk is valid until the next is asked for. */
  async *read(plan: TensorPlan, type: GgmlType): AsyncGenerator<Uint8Array> {
    const [rows, ...row] = plan.shape;
    const rowLength = product(row);
    let missing = rows as number;
    for (const source of plan.sources) {
      yield* this.readSource(source, rowLength, type);
      missing -= source.rows;
    }
    if (missing > 0) yield this.encode(this.bits.subarray(0, missing * rowLength).fill(0), type, plan.name);
  }

  /** The rows of a source, each filled up with zeros to `rowLength`. */
  private async *readSource(source: Source, rowLength: number, type: GgmlType): AsyncGenerator<Uint8Array> {
    const tensor = this.tensors.get(source.name) as StoredTensor;
    const sourceLength = product(source.shape.slice(1));
    const step = Math.floor(CHUNK / rowLength);
    for (let row = 0; row < source.rows; row += step) {
      const count = Math.min(step, source.rows - row);
      await this.fetch(tensor, row * sourceLength, count * sourceLength);
      const bits = this.bits.subarray(0, count * rowLength);
      if (sourceLength === rowLength) {
        widen(tensor.dtype, this.stored, 0, bits);
      } else {
        bits.fill(0);
        for (let i = 0; i < count; i++) {
          const filled = bits.subarray(i * rowLength, i * rowLength + sourceLength);
          widen(tensor.dtype, this.stored, i * sourceLength, filled);
        }
      }
      checkFinite(bits, tensor.name);
      yield this.encode(bits, type, tensor.name);
    }
  }

  private async fetch({ dtype, shard, position }: StoredTensor, first: number, count: number): Promise<void> {
    const size = DTYPE_SIZE[dtype];
    await readFully(shard, new Uint8Array(this.stored, 0, count * size), position + first * size);
  }

  private encode(bits: Uint32Array, type: GgmlType, name: string): Uint8Array {
    if (type === 'f32') return asBytes(bits);
    const halves = this.halves.subarray(0, bits.length);
    const overflow = type === 'f16' ? narrowToF16(bits, halves) : narrowToBf16(bits, halves);
    if (overflow === -1) return asBytes(halves);
    throw new XgenmmError(
      'ERR_XGENMM_MODEL_INVALID',
      `Expected weights that ${type} can hold in the tensor ${name}, received ${toFloat(bits, overflow)}`,
    );
  }
}

/** `target.length` elements of `source` from `first` on, as f32 bit patterns. */
function widen(dtype: Dtype, source: ArrayBuffer, first: number, target: Uint32Array): void {
  if (dtype === 'F32') {
    target.set(new Uint32Array(source, 4 * first, target.length));
  } else {
    const halves = new Uint16Array(source, 2 * first, target.length);
    if (dtype === 'F16') widenF16(halves, target);
    else widenBf16(halves, target);
  }
}

function checkFinite(bits: Uint32Array, name: string): void {
  for (let i = 0; i < bits.length; i++) {
    if (((bits[i] as number) & 0x7f800000) === 0x7f800000) {
      throw new XgenmmError(
        'ERR_XGENMM_MODEL_INVALID',
        `Expected finite weights in the tensor ${name}, received ${toFloat(bits, i)}`,
      );
    }
  }
}

function toFloat(bits: Uint32Array, index: number): number {
  return new Float32Array(bits.buffer, bits.byteOffset, bits.length)[index] as number;
}

function asBytes(array: Uint32Array | Uint16Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

function product(shape: number[]): number {
  return shape.reduce((size, side) => size * side, 1);
}
