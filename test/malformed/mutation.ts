import { modelFile } from '../files.js';
import { GgufFile } from '../gguf-file.js';

/** A damaged or hostile file. */
export interface Mutation {
  name: string;
  bytes: Buffer;
  /** Whether it must be refused, or may also happen to work. */
  fatal: boolean;
}

/** tiny-f16 with one layer in each part. */
export function smallModel(): GgufFile {
  const file = GgufFile.read(modelFile('tiny-f16'));
  for (const key of ['phi3.block_count', 'clip.vision.block_count', 'resampler.block_count'])
    file.setU32(key, 1);
  file.tensors = file.tensors.filter(({ name }) => !/blk\.[1-9]/.test(name));
  return file;
}

/** The small model, changed. */
export function changed(name: string, fatal: boolean, change: (file: GgufFile) => void): Mutation {
  const file = smallModel();
  change(file);
  return { name, fatal, bytes: file.serialise().bytes };
}

/** The small model's bytes, overwritten. */
export function overwritten(name: string, fatal: boolean, offset: number, bytes: Uint8Array): Mutation {
  const copy = Buffer.from(smallModel().serialise().bytes);
  copy.set(bytes, offset);
  return { name, fatal, bytes: copy };
}
