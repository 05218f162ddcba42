import { createReadStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheFolder } from '../cache-folder.mjs';
import { hasFullSize, writeFullSize } from '../full-size-file.mjs';

const SEED = 1;

/**
 * The path of the full-size model of a type in the user's cache, made if it is not there.
 * @param {import('./arguments.mjs').TextType} type
 * @param {boolean} plain Only its text part, for llama.cpp.
 * @param {(line: string) => void} say
 * @param {AbortSignal} signal
 */
export async function fullSizeModel(type, plain, say, signal) {
  const folder = join(cacheFolder(), 'bench');
  const path = join(folder, `${plain ? 'full-size-text' : 'full-size'}-${type}.gguf`);
  const options = { type, seed: SEED, plain };
  if (await hasFullSize(path, options)) return path;
  say(`Making ${path}, once`);
  await mkdir(folder, { recursive: true });
  const start = performance.now();
  const size = await writeFullSize(path, options, signal);
  say(`  ${(size / 1e9).toFixed(2)} GB in ${((performance.now() - start) / 1000).toFixed(0)} s`);
  return path;
}

/**
 * Reads a file to its end: whoever loads it next finds it in the system's cache.
 * @param {string} path
 * @param {AbortSignal} signal
 */
export async function readThrough(path, signal) {
  for await (const _ of createReadStream(path, { highWaterMark: 16 << 20 })) signal.throwIfAborted();
}
