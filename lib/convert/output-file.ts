import { randomBytes } from 'node:crypto';
import { type FileHandle, open, readdir, rename, rm, stat, statfs } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
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

/**
 * The absolute path of an output of `size` bytes. Throws ERR_XGENMM_WRITE_FAILED where it cannot be written: something else than a file
 * has its name, its folder does not exist, or there is not enough space beside what is there already.
 */
export async function checkOutput(output: string, size: number): Promise<string> {
  const path = resolve(output);
  const target = await stat(path).catch(() => undefined);
  if (target !== undefined && !target.isFile()) {
    throw new XgenmmError(
      'ERR_XGENMM_WRITE_FAILED',
      `Expected the name of a file as output, received ${path}, which is none`,
    );
  }
  const folder = dirname(path);
  const { bavail, bsize, blocks } = await statfs(folder).catch((cause) => {
    throw failed(`create a file in ${folder}`, cause);
  });
  // Where a file system does not tell, writing will.
  if (blocks > 0 && bavail * bsize < size) {
    throw new XgenmmError(
      'ERR_XGENMM_WRITE_FAILED',
      `Expected ${size} free bytes for ${path}, received ${bavail * bsize}: free some space or choose another disk`,
    );
  }
  return path;
}

/** Names beside the output of what runs that were killed, or that still go on, have written of it. */
export async function findUnfinished(path: string): Promise<string[]> {
  const name = basename(path);
  const names = await readdir(dirname(path)).catch(() => []);
  return names.filter(
    (other) => other.startsWith(`${name}.`) && /^\.[0-9a-f]{12}\.tmp$/.test(other.slice(name.length)),
  );
}

function failed(what: string, cause: Error): XgenmmError {
  return new XgenmmError('ERR_XGENMM_WRITE_FAILED', `Could not ${what}: ${cause.message}`, { cause });
}
