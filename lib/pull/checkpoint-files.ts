import { isJsonObject, parseJsonObject } from '../convert/json.js';
import { XgenmmError } from '../errors.js';
import { describe } from '../options.js';

export const CONFIG = 'config.json';
const INDEX = 'model.safetensors.index.json';
const SINGLE = 'model.safetensors';
/** What the converter reads beside the weights, as far as it is there. */
const SMALL = [
  CONFIG,
  INDEX,
  'generation_config.json',
  'tokenizer.json',
  'tokenizer.model',
  'tokenizer_config.json',
  'added_tokens.json',
  'special_tokens_map.json',
];
/** What the converter reads at most of a small file. */
const MAX_SMALL_FILE = 64 * 2 ** 20;

interface File {
  path: string;
  size: number;
}

/** Whether these are the files of a checkpoint. */
export function isCheckpoint(files: readonly File[]): boolean {
  const names = files.map(({ path }) => path);
  return names.includes(CONFIG) && (names.includes(INDEX) || names.includes(SINGLE));
}

/** The configuration and the tokenizer. Throws ERR_XGENMM_MODEL_INVALID where one is absurdly large. */
export function smallFiles<T extends File>(files: readonly T[]): T[] {
  const small = files.filter(({ path }) => SMALL.includes(path));
  for (const { path, size } of small) {
    if (size <= MAX_SMALL_FILE) continue;
    throw new XgenmmError(
      'ERR_XGENMM_MODEL_INVALID',
      `Expected at most ${MAX_SMALL_FILE} bytes in ${path}, received ${size}`,
    );
  }
  return small;
}

/** The weights: what the index names, else the one file. `hint`: what to append where one is missing. Throws ERR_XGENMM_MODEL_INVALID. */
export async function weightFiles<T extends File>(
  files: readonly T[],
  read: (path: string) => Promise<Uint8Array>,
  hint: string,
): Promise<T[]> {
  const byName = new Map(files.map((file) => [file.path, file]));
  const names = byName.has(INDEX) ? shardNames(await read(INDEX)) : [SINGLE];
  return names.map((name) => {
    const file = byName.get(name);
    if (file !== undefined) return file;
    throw new XgenmmError(
      'ERR_XGENMM_MODEL_INVALID',
      `Expected the file ${describe(name)}, which ${INDEX} names, beside it, received none of that name${hint}`,
    );
  });
}

function shardNames(index: Uint8Array): string[] {
  const { weight_map: map } = parseJsonObject(index, INDEX);
  const names = isJsonObject(map) ? [...new Set(Object.values(map))] : [];
  const isShard = (name: unknown) => typeof name === 'string' && /^[^/\\]+\.safetensors$/.test(name);
  if (names.length > 0 && names.every(isShard)) return names as string[];
  throw new XgenmmError('ERR_XGENMM_MODEL_INVALID', `Expected a weight_map of safetensors files in ${INDEX}`);
}
