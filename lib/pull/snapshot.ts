import type { Connection } from './connection.js';
import { download } from './download.js';
import { FileLock } from './file-lock.js';
import type { HubCache } from './hub-cache.js';
import type { HubRepository, ListedFile } from './hub-repository.js';

/** How far a download is, in bytes. */
export interface DownloadProgress {
  file: string;
  fileDone: number;
  fileBytes: number;
  /** Of all files that are fetched together. */
  done: number;
  bytes: number;
}

/** A file of a repository. */
export interface SnapshotFile {
  path: string;
  /** Bytes. */
  size: number;
}

/** The files of one commit of a repository: those on the hub, or those in the cache. */
export interface Snapshot {
  readonly commit: string;
  /** What may help where a file is missing, to append to a message. */
  readonly hint: string;
  /** What lies in a folder, '' for the topmost. */
  list(folder: string): Promise<SnapshotFile[]>;
  /** Bytes that {@link fetch} would download. Files are those that {@link list} has listed. */
  missingBytes(files: readonly SnapshotFile[]): Promise<number>;
  /** Brings files into the cache. */
  fetch(files: readonly SnapshotFile[]): Promise<void>;
  /** All that is needed was fetched. */
  settle(): Promise<void>;
}

/** A commit on the hub, file by file brought into the cache. */
export class HubSnapshot implements Snapshot {
  readonly hint = '';
  readonly #listed = new Map<string, ListedFile>();

  constructor(
    readonly commit: string,
    private readonly revision: string,
    private readonly repository: HubRepository,
    private readonly cache: HubCache,
    private readonly connection: Connection,
    private readonly onProgress: (progress: DownloadProgress) => void,
  ) {}

  async list(folder: string): Promise<SnapshotFile[]> {
    const files = await this.repository.list(this.commit, folder);
    for (const file of files) this.#listed.set(file.path, file);
    return files;
  }

  async missingBytes(files: readonly SnapshotFile[]): Promise<number> {
    let missing = 0;
    for (const { path, size, sum } of this.#known(files)) {
      if (await this.cache.has(this.commit, path, size)) continue;
      if (await this.cache.hasBlob(sum.hex, size)) continue;
      missing += Math.max(0, size - (await this.cache.incompleteBytes(sum.hex)));
    }
    return missing;
  }

  async fetch(files: readonly SnapshotFile[]): Promise<void> {
    const bytes = files.reduce((sum, { size }) => sum + size, 0);
    let before = 0;
    for (const file of this.#known(files)) {
      const begin = before;
      await this.#fetchOne(file, (fileDone) =>
        this.onProgress({
          file: file.path,
          fileDone,
          fileBytes: file.size,
          done: begin + fileDone,
          bytes,
        }),
      );
      before += file.size;
    }
  }

  #known(files: readonly SnapshotFile[]): ListedFile[] {
    return files.flatMap(({ path }) => this.#listed.get(path) ?? []);
  }

  async #fetchOne(file: ListedFile, onProgress: (done: number) => void): Promise<void> {
    const { path, size, sum } = file;
    if (await this.cache.has(this.commit, path, size)) return;
    await this.cache.prepare(sum.hex);
    if (!(await this.cache.hasBlob(sum.hex, size))) {
      const onWait = () => this.connection.onNote(`Another process is downloading ${path}: waiting for it.`);
      const lock = await FileLock.acquire(this.cache.lock(sum.hex), onWait, this.connection.signal);
      try {
        if (!(await this.cache.hasBlob(sum.hex, size))) await this.#download(file, lock, onProgress);
      } finally {
        await lock.release();
      }
    }
    await this.cache.link(this.commit, path, sum.hex);
  }

  async #download(file: ListedFile, lock: FileLock, onProgress: (done: number) => void): Promise<void> {
    const { path, size, sum } = file;
    const begun = await this.cache.incompleteBytes(sum.hex);
    if (begun > 0) this.connection.onNote(`Going on with ${path} at byte ${begun} of ${size}.`);
    const remote = this.repository.remote(this.commit, file);
    await download(this.connection, remote, this.cache.incomplete(sum.hex), onProgress);
    await lock.assertHeld();
    await this.cache.complete(sum.hex);
  }

  /** From now on the revision is this commit for those who are offline. */
  async settle(): Promise<void> {
    if (this.revision !== this.commit) await this.cache.writeRef(this.revision, this.commit);
  }
}

/** What the cache has of a commit, without the hub. */
export class CachedSnapshot implements Snapshot {
  readonly hint =
    ', because no connection is used and the cache does not have it; pull with a connection, without HF_HUB_OFFLINE';

  constructor(
    readonly commit: string,
    private readonly cache: HubCache,
  ) {}

  async list(folder: string): Promise<{ path: string; size: number }[]> {
    const parent = (path: string) => path.split('/').slice(0, -1).join('/');
    return (await this.cache.list(this.commit)).filter(({ path }) => parent(path) === folder);
  }

  async missingBytes(): Promise<number> {
    return 0;
  }

  async fetch(): Promise<void> {}

  async settle(): Promise<void> {}
}
