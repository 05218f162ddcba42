import type { FileHandle } from 'node:fs/promises';
import { XgenmmError } from '../errors.js';

/** A file, open for reading. */
export interface InputFile {
  /** What messages call it. */
  name: string;
  file: FileHandle;
}

/** Fills `target` from `position` on; throws ERR_XGENMM_MODEL_INVALID where the file ends too early. */
export async function readFully(input: InputFile, target: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < target.length; ) {
    const { bytesRead } = await input.file.read(target, done, target.length - done, position + done);
    if (bytesRead === 0) {
      throw new XgenmmError(
        'ERR_XGENMM_MODEL_INVALID',
        `Expected ${target.length} bytes at ${position} in ${input.name}, received ${done}`,
      );
    }
    done += bytesRead;
  }
}
