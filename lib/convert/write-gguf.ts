import { loadAddon } from '../addon.js';
import { translated } from '../engine.js';
import type { Chunk } from './chunk.js';
import type { Layout } from './gguf-header.js';
import { checkOutput, findUnfinished, OutputFile } from './output-file.js';
import { Pipeline } from './pipeline.js';

/** How a caller watches and stops the writing of a file. */
export interface WriteOptions {
  /** Called with the bytes written so far and the bytes of the whole file. */
  onProgress?: ((done: number, total: number) => void) | undefined;
  /** Called with a sentence where something had to be assumed or calls for attention. */
  onNote?: ((note: string) => void) | undefined;
  /** Stops the work, which rejects with `signal.reason` and leaves no file. */
  signal?: AbortSignal | undefined;
}

/** Writes a file of this layout, which appears under its name when it is complete, or not at all. Returns its absolute path. */
export async function writeGguf(
  output: string,
  { header, size }: Layout,
  chunks: Iterable<Chunk>,
  { onProgress = () => {}, onNote = () => {}, signal }: WriteOptions,
): Promise<string> {
  const path = await checkOutput(output, size);
  for (const name of await findUnfinished(path)) {
    onNote(`${name} is left from a run that was killed, unless one is still writing it: it can be deleted.`);
  }
  signal?.throwIfAborted();
  const addon = loadAddon();
  const quantizer = translated(() => addon.createQuantizer(0));
  try {
    const file = await OutputFile.create(path);
    try {
      await file.write(header, 0);
      let done = header.length;
      const count = (bytes: number) => {
        done += bytes;
        onProgress(done, size);
      };
      await new Pipeline(quantizer, file, signal, count).run(chunks);
      signal?.throwIfAborted();
      onProgress(size, size);
      await file.commit(size);
    } catch (error) {
      await file.discard();
      throw error;
    }
    return path;
  } finally {
    await quantizer.dispose();
  }
}
