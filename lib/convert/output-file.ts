import { randomBytes } from 'node:crypto';
import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { XgenmmError } from '../errors.js';

/** A file that appears under its name only when it is complete; until then it grows under a name beside it. */
export class OutputFile {
  private constructor(
    readonly path: string,
    private readonly temporary: string,
    private readonly file: FileHandle,
  ) {}

  static async create(output: string): Promise<OutputFile> {
    const path = resolve(output);
    const target = await stat(path).catch(() => undefined);
    if (target !== undefined && !target.isFile()) {
      throw new XgenmmError(
        'ERR_XGENMM_WRITE_FAILED',
        `Expected the name of a file as output, received ${path}, which is none`,
      );
    }
    const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`;
    const file = await open(temporary, 'wx').catch((cause) => {
      throw failed(`create a file in ${dirname(path)}`, cause);
    });
    return new OutputFile(path, temporary, file);
  }

  async write(bytes: Uint8Array, position: number): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await this.file
        .write(bytes, done, bytes.length - done, position + done)
        .catch((cause) => {
          throw failed(`write ${this.temporary}`, cause);
        });
      done += bytesWritten;
    }
  }

  /** Puts the file, `size` bytes long, on the disk and in the place of whatever has its name. */
  async commit(size: number): Promise<void> {
    try {
      // The padding behind the last tensor is never written.
      await this.file.truncate(size);
      await this.file.sync();
      await this.file.close();
      await rename(this.temporary, this.path);
    } catch (cause) {
      throw failed(`complete ${this.path}`, cause as Error);
    }
  }

  /** Leaves nothing behind. */
  async discard(): Promise<void> {
    await this.file.close().catch(() => undefined);
    await rm(this.temporary, { force: true });
  }
}

function failed(what: string, cause: Error): XgenmmError {
  return new XgenmmError('ERR_XGENMM_WRITE_FAILED', `Could not ${what}: ${cause.message}`, { cause });
}
