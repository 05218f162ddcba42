import { basename } from 'node:path';
import { XgenmmError } from '../errors.js';
import type { NativeTensorType } from '../native.js';
import type { TensorInfo, Value } from './gguf-header.js';
import { readImportance } from './importance-file.js';

/** What the quantisation heeds: for each tensor a value for each of its columns. */
export type Importance = ReadonlyMap<string, Float32Array>;

/** Types whose blocks are found by a search that an importance matrix can guide. */
const GUIDED: ReadonlySet<NativeTensorType> = new Set(['q4_0', 'q4_K', 'q5_K', 'q6_K', 'iq4_nl']);

const EMBEDDING = 'token_embd.weight';

/**
 * The entries of an imatrix file for the tensors that will be quantised. Throws ERR_XGENMM_INVALID_ARGUMENT for a file of another
 * model: one that knows none of the tensors, or has another number of columns for one.
 */
export async function loadImportance(
  path: string,
  tensors: readonly TensorInfo[],
  onNote: (note: string) => void = () => {},
): Promise<Importance> {
  const entries = await readImportance(path);
  const guided = tensors.filter(({ type }) => GUIDED.has(type));
  const found = new Map<string, Float32Array>();
  // The embedding is looked up: unless it is the head as well, nothing meets its columns.
  const multiplied = guided.filter(({ name }) => name !== EMBEDDING);
  for (const { name, shape } of guided) {
    const values = entries.get(name);
    if (values === undefined) continue;
    if (values.length !== shape[0]) throw foreign(path, `${shape[0]} columns for ${name}`, values.length);
    found.set(name, values);
  }
  if (guided.length === 0) {
    onNote(`Nothing is stored in a type that ${path} could improve.`);
  } else if (found.size === 0) {
    throw foreign(path, 'entries for the tensors of this model', 'none');
  }
  const known = multiplied.filter(({ name }) => found.has(name)).length;
  if (known < multiplied.length) {
    onNote(
      `${path} has entries for ${known} of the ${multiplied.length} matrices that are quantised by search.`,
    );
  }
  return found;
}

/** llama.cpp's keys for what guided a quantisation. */
export function describeImportance(path: string, importance: Importance): [key: string, value: Value][] {
  return [
    ['quantize.imatrix.file', { type: 'string', value: basename(path) }],
    ['quantize.imatrix.entries_count', { type: 'u32', value: importance.size }],
  ];
}

function foreign(path: string, expected: string, received: number | string): XgenmmError {
  return new XgenmmError(
    'ERR_XGENMM_INVALID_ARGUMENT',
    `Expected ${expected} in the importance matrix ${path}, received ${received}: collect one with this model`,
  );
}
