import type { NativeTensorType } from '../native.js';
import { storedBytes, type TensorInfo } from './gguf-header.js';
import { type Part, partOf } from './mixture.js';

/** The tensors of one part that are stored in one type, summed. */
export interface TensorGroup {
  part: Part;
  type: NativeTensorType;
  count: number;
  bytes: number;
}

/** By part, then by size. */
export function groupTensors(tensors: readonly TensorInfo[]): TensorGroup[] {
  const groups: TensorGroup[] = [];
  for (const { name, shape, type } of tensors) {
    const part = partOf(name);
    let group = groups.find((known) => known.part === part && known.type === type);
    if (group === undefined) {
      group = { part, type, count: 0, bytes: 0 };
      groups.push(group);
    }
    group.count += 1;
    group.bytes += storedBytes(type, shape);
  }
  const order: Part[] = ['text', 'vision', 'resampler'];
  return groups.sort((a, b) => order.indexOf(a.part) - order.indexOf(b.part) || b.bytes - a.bytes);
}
