import { createHash, type Hash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { XgenmmError } from '../errors.js';

const READ_BYTES = 2 ** 20;

/** A file that grows while it is downloaded, and the sum of what is in it. What is there from an earlier run is gone on with. */
export class PartialFile {
  #hash: Hash;
  #length = 0;

  private constructor(
    readonly path: string,
    private readonly file: FileHandle,
    private readonly createSum: () => Hash,
  ) {
    this.#hash = createSum();
  }

  /** Opens or creates; what is there is read once for its sum. `createSum`: a hash that has seen nothing of the file. */
  static async open(
    path: string,
    createSum: () => Hash = () => createHash('sha256'),
    signal?: AbortSignal,
  ): Promise<PartialFile> {
    // A link there could lead to a file that is not the cache's. Windows, which lets few users make any, has no such flag.
    const flags = constants.O_RDWR | constants.O_CREAT | (constants.O_NOFOLLOW ?? 0);
    const file = await open(path, flags, 0o644).catch((cause) => {
      throw failed(path, cause);
    });
    const partial = new PartialFile(path, file, createSum);
    try {
      await partial.#readBack(signal);
      return partial;
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  async #readBack(signal: AbortSignal | undefined): Promise<void> {
    const buffer = Buffer.allocUnsafe(READ_BYTES);
    for (;;) {
      signal?.throwIfAborted();
      const { bytesRead } = await this.file.read(buffer, 0, buffer.length, this.#length);
      if (bytesRead === 0) return;
      this.#hash.update(buffer.subarray(0, bytesRead));
      this.#length += bytesRead;
    }
  }

  get length(): number {
    return this.#length;
  }

  async append(bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await this.file
        .write(bytes, done, bytes.length - done, this.#length + done)
        .catch((cause) => {
          throw failed(this.path, cause);
        });
      done += bytesWritten;
    }
    this.#hash.update(bytes);
    this.#length += bytes.length;
  }

  /** Forgets everything. */
  async reset(): Promise<void> {
    await this.file.truncate(0).catch((cause) => {
      throw failed(this.path, cause);
    });
    this.#hash = this.createSum();
    this.#length = 0;
  }

  /** The sum of the whole file, in hexadecimal digits. Nothing can be appended afterwards. */
  digest(): string {
    return this.#hash.digest('hex');
  }

  /** Puts everything on the disk. */
  async close(): Promise<void> {
    try {
      await this.file.sync().finally(() => this.file.close());
    } catch (cause) {
      throw failed(this.path, cause as NodeJS.ErrnoException);
    }
  }

  async remove(): Promise<void> {
    await rm(this.path, { force: true });
  }
}

function failed(path: string, cause: NodeJS.ErrnoException): XgenmmError {
  const full = cause.code === 'ENOSPC' || cause.code === 'EDQUOT';
  const hint = full ? '; free some space there, the next run goes on where this one stopped' : '';
  return new XgenmmError('ERR_XGENMM_WRITE_FAILED', `Could not write ${path}: ${cause.message}${hint}`, {
    cause,
  });
}
