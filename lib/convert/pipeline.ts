import { XgenmmError } from '../errors.js';
import type { NativeQuantizer } from '../native.js';
import { CHUNK_ELEMENTS, type Chunk, type Dtype, type Recoding } from './chunk.js';
import { readFully } from './input-file.js';
import type { OutputFile } from './output-file.js';

/** One chunk is read, one recoded and one written at the same time. */
const SLOTS = 3;

/** Buffers that chunks pass through, one at a time. */
interface Slot {
  source: Uint8Array;
  target: Uint8Array;
  /** Settles when the buffers are free again. */
  done: Promise<void>;
}

/** Takes chunks from their files through the quantizer into the output, in memory that does not depend on their number. */
export class Pipeline {
  readonly #slots: Slot[] = Array.from({ length: SLOTS }, () => ({
    source: new Uint8Array(4 * CHUNK_ELEMENTS),
    target: new Uint8Array(4 * CHUNK_ELEMENTS),
    done: Promise.resolve(),
  }));

  constructor(
    private readonly quantizer: NativeQuantizer,
    private readonly output: OutputFile,
    private readonly signal: AbortSignal | undefined,
    /** Called with the size of each chunk that is written. */
    private readonly onWritten: (bytes: number) => void,
  ) {}

  /**
   * Settles when no buffer and no file is in use any more. Rejects with the signal's reason, ERR_XGENMM_MODEL_INVALID for weights that
   * cannot be stored, or what reading and writing fails with.
   */
  async run(chunks: Iterable<Chunk>): Promise<void> {
    let turn = 0;
    try {
      for (const chunk of chunks) {
        const slot = this.#slots[turn++ % SLOTS] as Slot;
        await slot.done;
        this.signal?.throwIfAborted();
        await read(chunk, slot.source);
        slot.done = this.#finish(chunk, slot);
        // Looked at when the slot's turn comes.
        slot.done.catch(() => {});
      }
      for (let i = 0; i < SLOTS; i++) await this.#slots[turn++ % SLOTS]?.done;
    } finally {
      await Promise.allSettled(this.#slots.map((slot) => slot.done));
    }
  }

  async #finish(chunk: Chunk, slot: Slot): Promise<void> {
    const bytes = chunk.recoding === undefined ? slot.source : slot.target;
    if (chunk.recoding !== undefined) await this.#recode(chunk, chunk.recoding, slot);
    this.signal?.throwIfAborted();
    await this.output.write(bytes.subarray(0, chunk.bytesOut), chunk.to);
    this.signal?.throwIfAborted();
    this.onWritten(chunk.bytesOut);
  }

  async #recode(
    { name, bytesIn, bytesOut }: Chunk,
    { dtype, sourceLength, rowLength, type, importance }: Recoding,
    { source, target }: Slot,
  ): Promise<void> {
    const index = await this.quantizer.quantize(
      source.subarray(0, bytesIn),
      dtype,
      sourceLength,
      rowLength,
      type,
      target.subarray(0, bytesOut),
      importance,
    );
    if (index === -1) return;
    const value = valueAt(source, dtype, index);
    throw new XgenmmError(
      'ERR_XGENMM_MODEL_INVALID',
      `Expected ${Number.isFinite(value) ? `weights that ${type} can hold` : 'finite weights'} in the tensor ${name}, received ${value}`,
    );
  }
}

async function read({ input, from, bytesIn }: Chunk, source: Uint8Array): Promise<void> {
  const bytes = source.subarray(0, bytesIn);
  if (input === undefined) bytes.fill(0);
  else await readFully(input, bytes, from);
}

function valueAt(source: Uint8Array, dtype: Dtype, index: number): number {
  const view = new DataView(source.buffer, source.byteOffset);
  if (dtype === 'f32') return view.getFloat32(4 * index, true);
  const half = view.getUint16(2 * index, true);
  if (dtype === 'bf16') return new Float32Array(Uint32Array.of(half << 16).buffer)[0] as number;
  // An f16 is refused only where it is infinite or NaN: all its other values are small.
  if ((half & 0x3ff) !== 0) return Number.NaN;
  return half & 0x8000 ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
}
