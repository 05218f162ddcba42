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
  /** f32 bit patterns: copying floats as such may change a NaN. */
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
      const stored = await this.readStored(tensor, row * sourceLength, count * sourceLength);
      const bits = this.bits.subarray(0, count * rowLength);
      if (sourceLength === rowLength) {
        widen(stored, bits);
      } else {
        bits.fill(0);
        for (let i = 0; i < count; i++) {
          const padded = bits.subarray(i * rowLength, i * rowLength + sourceLength);
          widen(stored.subarray(i * sourceLength, (i + 1) * sourceLength), padded);
        }
      }
      yield this.encode(bits, type, source.name);
    }
  }

  /** `count` elements from `first` on. */
  private async readStored(tensor: StoredTensor, first: number, count: number): Promise<StoredValues> {
    const size = DTYPE_SIZE[tensor.dtype];
    await readFully(tensor.shard, new Uint8Array(this.stored, 0, count * size), tensor.position + first * size);
    return VIEWS[tensor.dtype](this.stored, count);
  }
}
