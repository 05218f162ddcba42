import { type FileHandle, lstat, open, readFile, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve, sep } from 'node:path';
import { XgenmmError } from '../errors.js';
import { describe } from '../options.js';
import { type JsonObject, parseJsonObject } from './json.js';

/** Larger than any file of JSON or protobuf that belongs to this family, small enough to read at once. */
const MAX_SMALL_FILE = 64 * 2 ** 20;

/** A folder in the official Hugging Face layout. Every file is looked up here and none outside is ever opened. */
export class CheckpointFolder {
  /** Real paths of the files that were read. */
  readonly used = new Set<string>();

  private constructor(
    readonly path: string,
    /** Real paths, with a separator at the end, that a file may lie under. */
    private readonly roots: string[],
    /** Name of the repository or folder. */
    readonly name: string,
  ) {}

  static async open(folder: string): Promise<CheckpointFolder> {
    const path = resolve(folder);
    const status = await stat(path).catch((cause) => {
      throw unreadable(path, 'a folder', cause);
    });
    if (!status.isDirectory()) {
      throw new XgenmmError('ERR_XGENMM_FILE_NOT_FOUND', `Expected a folder, received the file ${path}`);
    }
    const roots = [(await realpath(path)) + sep];
    if (basename(dirname(path)) !== 'snapshots') return new CheckpointFolder(path, roots, basename(path));

    // The Hugging Face cache: models--OWNER--NAME/snapshots/REVISION/FILE is a link to models--OWNER--NAME/blobs/HASH.
    const repository = dirname(dirname(path));
    const blobs = await realpath(join(repository, 'blobs')).catch(() => undefined);
    if (blobs !== undefined) roots.push(blobs + sep);
    return new CheckpointFolder(path, roots, basename(repository).split('--').at(-1) as string);
  }

  async has(name: string): Promise<boolean> {
    return lstat(join(this.path, name)).then(
      () => true,
      () => false,
    );
  }

  /** Real path of the file `name`, which must be a plain name and not lead out of the folder. */
  private async locate(name: string): Promise<string> {
    if (!/^[^/\\:]+$/.test(name) || name === '..' || name === '.' || name.includes('\0')) {
      throw new XgenmmError(
        'ERR_XGENMM_MODEL_INVALID',
        `Expected the plain name of a file in ${this.path}, received ${describe(name)}`,
      );
    }
    const path = join(this.path, name);
    const real = await realpath(path).catch((cause) => {
      throw unreadable(path, 'a file', cause);
    });
    if (!this.roots.some((root) => real.startsWith(root))) {
      throw new XgenmmError(
        'ERR_XGENMM_MODEL_INVALID',
        `Expected the file ${name} to lie in ${this.path}, received a link to ${real}`,
      );
    }
    if (!(await stat(real)).isFile()) {
      throw new XgenmmError('ERR_XGENMM_MODEL_INVALID', `Expected ${path} to be a regular file`);
    }
    this.used.add(real);
    return real;
  }

  /** All bytes of a small file. */
  async read(name: string): Promise<Uint8Array> {
    const path = await this.locate(name);
    const { size } = await stat(path);
    if (size > MAX_SMALL_FILE) {
      throw new XgenmmError(
        'ERR_XGENMM_MODEL_INVALID',
        `Expected at most ${MAX_SMALL_FILE} bytes in ${name}, received ${size}`,
      );
    }
    return readFile(path).catch((cause) => {
      throw unreadable(path, 'a file', cause);
    });
  }

  async readJson(name: string): Promise<JsonObject> {
    return parseJsonObject(await this.read(name), name);
  }

  async openFile(name: string): Promise<FileHandle> {
    const path = await this.locate(name);
    return open(path, 'r').catch((cause) => {
      throw unreadable(path, 'a file', cause);
    });
  }
}

function unreadable(path: string, what: string, cause: Error): XgenmmError {
  return new XgenmmError(
    'ERR_XGENMM_FILE_NOT_FOUND',
    `Expected ${what} that can be read at ${path}, received: ${cause.message}`,
    { cause },
  );
}
