import { XgenmmError } from '../errors.js';
import { describe } from '../options.js';
import type { CheckpointFolder } from './checkpoint-folder.js';
import { DTYPE_SIZE, type Dtype } from './chunk.js';
import { type InputFile, readFully } from './input-file.js';
import { isJsonObject, type JsonObject, parseJsonObject } from './json.js';

/** What the format calls them. */
const DTYPES: Record<string, Dtype> = { F32: 'f32', F16: 'f16', BF16: 'bf16' };

/** The format's own limit for the header. */
const MAX_HEADER = 100_000_000;
const INDEX = 'model.safetensors.index.json';
const SINGLE = 'model.safetensors';

/** A tensor in an open shard. */
export interface StoredTensor {
  name: string;
  dtype: Dtype;
  /** Slowest dimension first. */
  shape: number[];
  shard: InputFile;
  /** Position of its first byte in the shard. */
  position: number;
}

/** All tensors of a checkpoint, over open files: close it when done. */
export class Weights {
  readonly tensors = new Map<string, StoredTensor>();
  private readonly shards: InputFile[] = [];

  /** Reads every header; throws on a damaged one, with all files closed. */
  static async open(folder: CheckpointFolder): Promise<Weights> {
    const weights = new Weights();
    try {
      if (await folder.has(INDEX)) await weights.openSharded(folder);
      else await weights.add(folder, SINGLE);
    } catch (error) {
      await weights.close();
      throw error;
    }
    return weights;
  }

  async close(): Promise<void> {
    await Promise.all(this.shards.map((shard) => shard.file.close()));
  }

  private async openSharded(folder: CheckpointFolder): Promise<void> {
    const { weight_map: map } = await folder.readJson(INDEX);
    if (!isJsonObject(map))
      throw invalid(`Expected the object weight_map in ${INDEX}, received ${describe(map)}`);
    const entries = Object.entries(map).map(([tensor, shard]): [string, string] => {
      if (typeof shard === 'string') return [tensor, shard];
      throw invalid(`Expected a file name for ${describe(tensor)} in ${INDEX}, received ${describe(shard)}`);
    });
    for (const shard of new Set(entries.map(([, shard]) => shard))) await this.add(folder, shard);
    for (const [tensor, shard] of entries) {
      if (this.tensors.get(tensor)?.shard.name !== shard) {
        throw invalid(
          `Expected the tensor ${describe(tensor)} in ${shard}, where ${INDEX} puts it, but it is not there`,
        );
      }
    }
  }

  private async add(folder: CheckpointFolder, name: string): Promise<void> {
    const shard: InputFile = { name, file: await folder.openFile(name) };
    this.shards.push(shard);
    for (const tensor of await readHeader(shard)) {
      const twin = this.tensors.get(tensor.name);
      if (twin !== undefined) {
        throw invalid(
          `Expected the tensor ${describe(tensor.name)} once, received it in ${twin.shard.name} and ${name}`,
        );
      }
      this.tensors.set(tensor.name, tensor);
    }
  }
}

async function readHeader(shard: InputFile): Promise<StoredTensor[]> {
  const { size } = await shard.file.stat();
  if (size < 8) throw invalid(`Expected a safetensors file, received ${size} bytes in ${shard.name}`);
  const prefix = Buffer.alloc(8);
  await readFully(shard, prefix, 0);
  const length = prefix.readBigUInt64LE();
  const limit = Math.min(MAX_HEADER, size - 8);
  if (length > limit) {
    throw invalid(
      `Expected a safetensors header of at most ${limit} bytes in ${shard.name}, received a length of ${length}`,
    );
  }
  const header = new Uint8Array(Number(length));
  await readFully(shard, header, 8);
  const start = 8 + header.length;
  const { __metadata__: _, ...entries } = parseJsonObject(header, `the header of ${shard.name}`);
  const spans = Object.entries(entries).map(([name, entry]) => parseEntry(shard, name, entry));
  checkLayout(shard, spans, size - start);
  return spans.map(({ name, dtype, shape, begin }) => ({
    name,
    dtype,
    shape,
    shard,
    position: start + begin,
  }));
}

interface Span {
  name: string;
  dtype: Dtype;
  shape: number[];
  begin: number;
  end: number;
}

function parseEntry(shard: InputFile, name: string, entry: unknown): Span {
  const label = `the tensor ${describe(name)} in ${shard.name}`;
  const { dtype: stored, shape, data_offsets: offsets }: JsonObject = isJsonObject(entry) ? entry : {};
  const dtype = typeof stored === 'string' && Object.hasOwn(DTYPES, stored) ? DTYPES[stored] : undefined;
  if (dtype === undefined) {
    throw invalid(`Expected dtype F32, F16 or BF16 for ${label}, received ${describe(stored)}`);
  }
  if (!isCounts(shape))
    throw invalid(`Expected an array of sizes as shape of ${label}, received ${JSON.stringify(shape)}`);
  if (!isCounts(offsets) || offsets.length !== 2) {
    throw invalid(`Expected data_offsets [begin, end] for ${label}, received ${JSON.stringify(offsets)}`);
  }
  const [begin, end] = offsets as [number, number];
  const size = shape.reduce((product, side) => product * side, DTYPE_SIZE[dtype]);
  if (end - begin !== size) {
    throw invalid(
      `Expected ${size} bytes for ${label} of shape [${shape}], received data_offsets [${offsets}]`,
    );
  }
  return { name, dtype, shape, begin, end };
}

/** As the format demands: the tensors fill the data without overlap and without holes. */
function checkLayout(shard: InputFile, spans: Span[], size: number): void {
  let filled = 0;
  for (const { name, begin, end } of spans.toSorted((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (begin !== filled) {
      throw invalid(
        `Expected the tensor ${describe(name)} at byte ${filled} of the data of ${shard.name}, received ${begin}`,
      );
    }
    if (end > size) {
      throw invalid(
        `Expected the tensor ${describe(name)} to end within the ${size} data bytes of ${shard.name}, received ${end}`,
      );
    }
    filled = end;
  }
  if (filled !== size) throw invalid(`Expected ${filled} bytes of data in ${shard.name}, received ${size}`);
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.length <= 8 && value.every((n) => Number.isSafeInteger(n) && n >= 0);
}

function invalid(message: string): XgenmmError {
  return new XgenmmError('ERR_XGENMM_MODEL_INVALID', message);
}
