import type { NativeTensorType } from '../native.js';
import { type Chunk, cutRows, type Recoding } from './chunk.js';
import { storedBytes } from './gguf-header.js';
import type { StoredTensor } from './safetensors.js';
import type { TensorPlan } from './tensors.js';

/** A planned tensor on its way from the checkpoint to `position` of the file, in order. `importance`: a value for each column. */
export function* cutTensor(
  plan: TensorPlan,
  type: NativeTensorType,
  position: number,
  stored: Map<string, StoredTensor>,
  importance: Float32Array | undefined,
): Generator<Chunk> {
  const [rows, ...row] = plan.shape as [number, ...number[]];
  const rowLength = product(row);
  const into = { rowLength, type, importance };
  let missing = rows;
  let to = position;
  for (const { name, shape, rows: count } of plan.sources) {
    const { dtype, shard, position: from } = stored.get(name) as StoredTensor;
    const recoding: Recoding = { dtype, sourceLength: product(shape.slice(1)), ...into };
    yield* cutRows({ name, input: shard, from, to, count, recoding });
    missing -= count;
    to += storedBytes(type, [rowLength, count]);
  }
  const recoding: Recoding = { dtype: 'f32', sourceLength: rowLength, ...into };
  yield* cutRows({ name: plan.name, input: undefined, from: 0, to, count: missing, recoding });
}

function product(shape: readonly number[]): number {
  return shape.reduce((size, side) => size * side, 1);
}
