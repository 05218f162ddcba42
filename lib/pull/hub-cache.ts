import { randomUUID } from 'node:crypto';
import {
  copyFile,
  link,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { XgenmmError } from '../errors.js';
import { isCommit } from './names.js';

/**
 * One repository in Hugging Face's cache, laid out as Python's huggingface_hub does: `blobs/SUM` are files, `snapshots/COMMIT/PATH`
 * links to them, `refs/REVISION` commits. Names that come in here have been checked.
 */
export class HubCache {
  readonly folder: string;

  /** `root`: the cache; `name`: the folder of the repository in it. */
  constructor(
    private readonly root: string,
    private readonly name: string,
  ) {
    this.folder = join(root, name);
  }

  /** Folder of the files of a commit. */
  snapshot(commit: string): string {
    return join(this.folder, 'snapshots', commit);
  }

  file(commit: string, path: string): string {
    return join(this.snapshot(commit), ...path.split('/'));
  }

  blob(sum: string): string {
    return join(this.folder, 'blobs', sum);
  }

  /** Where a blob grows. */
  incomplete(sum: string): string {
    return `${this.blob(sum)}.incomplete`;
  }

  /** Where a process says that it is downloading a blob; scanners of the cache leave the folder alone. */
  lock(sum: string): string {
    return join(this.root, '.locks', this.name, `${sum}.xgen-mm`);
  }

  /** Makes the folders that a blob needs. */
  async prepare(sum: string): Promise<void> {
    await makeFolder(dirname(this.blob(sum)));
    await makeFolder(dirname(this.lock(sum)));
  }

  /** Bytes that an unfinished download has. */
  async incompleteBytes(sum: string): Promise<number> {
    return (await sizeOf(this.incomplete(sum))) ?? 0;
  }

  /** Whether a file of a commit is there, as long as it should be. */
  async has(commit: string, path: string, size: number): Promise<boolean> {
    return (await sizeOf(this.file(commit, path))) === size;
  }

  async hasBlob(sum: string, size: number): Promise<boolean> {
    return (await sizeOf(this.blob(sum))) === size;
  }

  /** Makes a finished download a blob. */
  async complete(sum: string): Promise<void> {
    await rename(this.incomplete(sum), this.blob(sum)).catch((cause) => {
      throw unwritable(this.blob(sum), cause);
    });
  }

  /** Makes a blob a file of a commit. */
  async link(commit: string, path: string, sum: string): Promise<void> {
    const target = this.file(commit, path);
    const blob = this.blob(sum);
    await makeFolder(dirname(target));
    const temporary = `${target}.${randomUUID()}`;
    try {
      await symlink(relative(dirname(target), blob), temporary)
        // Windows allows links to some users only, and some file systems none at all.
        .catch(() => link(blob, temporary))
        .catch(() => copyFile(blob, temporary));
      await rename(temporary, target);
    } catch (cause) {
      await rm(temporary, { force: true });
      throw unwritable(target, cause as Error);
    }
  }

  /** The commit that a revision was when it was last asked for; undefined: nobody knows. */
  async readRef(revision: string): Promise<string | undefined> {
    const text = await readFile(this.#ref(revision), 'utf8').catch(() => '');
    return isCommit(text.trim()) ? text.trim() : undefined;
  }

  async writeRef(revision: string, commit: string): Promise<void> {
    if ((await this.readRef(revision)) === commit) return;
    await makeFolder(dirname(this.#ref(revision)));
    await replaceFile(this.#ref(revision), commit);
  }

  #ref(revision: string): string {
    return join(this.folder, 'refs', ...revision.split('/'));
  }

  /** Paths and sizes of the files that are there of a commit. */
  async list(commit: string): Promise<{ path: string; size: number }[]> {
    const folder = this.snapshot(commit);
    const names = await readdir(folder, { recursive: true }).catch(() => []);
    const files = names.map(async (name) => ({
      path: name.replaceAll('\\', '/'),
      size: await sizeOf(join(folder, name)),
    }));
    return (await Promise.all(files)).flatMap(({ path, size }) =>
      size === undefined ? [] : [{ path, size }],
    );
  }
}

/** Bytes of a file; undefined if there is none. */
export async function sizeOf(path: string): Promise<number | undefined> {
  const status = await stat(path).catch(() => undefined);
  return status?.isFile() ? status.size : undefined;
}

/** Writes a small file, whole or not at all. */
export async function replaceFile(path: string, text: string): Promise<void> {
  const temporary = `${path}.${randomUUID()}`;
  try {
    await writeFile(temporary, text);
    await rename(temporary, path);
  } catch (cause) {
    await rm(temporary, { force: true });
    throw unwritable(path, cause as Error);
  }
}

export async function makeFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true }).catch((cause) => {
    throw unwritable(path, cause);
  });
}

/** What a file could not be written for. */
export function unwritable(path: string, cause: Error): XgenmmError {
  return new XgenmmError('ERR_XGENMM_WRITE_FAILED', `Could not write ${path}: ${cause.message}`, { cause });
}
