import { XgenmmError } from '../errors.js';
import type { Connection } from './connection.js';
import type { RemoteFile, Sum } from './download.js';
import type { HubSettings } from './hub-settings.js';
import { checkRevision, isCommit, isSafePath } from './names.js';
import { MissingRevision, type Subject } from './refusal.js';

type HubLibrary = typeof import('@huggingface/hub');

/** A file of a repository, as the hub lists it. */
export interface ListedFile {
  path: string;
  /** Bytes. */
  size: number;
  /** Its name among the cache's blobs, and what its bytes add up to. */
  sum: Sum;
}

/** Larger than any folder of a repository of models. */
const MAX_FILES = 10_000;
const MAX_FILE_BYTES = 2 ** 42;
/** Of revisions in a message. */
const MAX_SHOWN = 20;

/** A repository on the hub: asked through Hugging Face's library, over our own connection, which retries and holds the token. */
export class HubRepository {
  private constructor(
    private readonly library: HubLibrary,
    private readonly connection: Connection,
    private readonly settings: HubSettings,
    /** `owner/name`. */
    readonly name: string,
    private readonly revision: string | undefined,
  ) {}

  /** The library is large and used here only. */
  static async open(
    connection: Connection,
    settings: HubSettings,
    name: string,
    revision: string | undefined,
  ): Promise<HubRepository> {
    return new HubRepository(await import('@huggingface/hub'), connection, settings, name, revision);
  }

  /** The name of its folder in the cache. */
  get cacheFolder(): string {
    return this.library.getRepoFolderName({ type: 'model', name: this.name });
  }

  /** The commit that the revision is now. */
  async resolve(): Promise<string> {
    const subject = this.#subject(`the revision ${this.revision ?? 'main'} of ${this.name}`, this.revision);
    const info = await this.#ask(subject, (fetch) =>
      this.library.modelInfo({
        name: this.name,
        hubUrl: this.settings.endpoint,
        revision: this.revision ?? 'main',
        additionalFields: ['sha'],
        fetch,
      }),
    ).catch(async (error) => {
      throw error instanceof MissingRevision ? error.knowing(await this.#revisions()) : error;
    });
    const { sha } = info;
    if (typeof sha !== 'string' || !isCommit(sha)) throw unreadable(subject, 'no commit');
    return sha;
  }

  /** Some names of branches and tags, for a message; none where the hub does not say. */
  async #revisions(): Promise<string[]> {
    const url = new URL(`${this.settings.endpoint}/api/models/${this.name}/refs`);
    try {
      const response = await this.connection.fetch(url, {}, this.#subject(`the revisions of ${this.name}`));
      const { branches, tags } = (await response.json()) as {
        branches: { name: string }[];
        tags: { name: string }[];
      };
      return [...branches, ...tags].slice(0, MAX_SHOWN).map(({ name }) => checkRevision(name));
    } catch {
      this.connection.signal?.throwIfAborted();
      return [];
    }
  }

  /** The files of one folder at a commit, '' for the topmost. Entries whose path would lead out of it are left out. */
  async list(commit: string, folder: string): Promise<ListedFile[]> {
    const subject = this.#subject(`the list of files of ${this.name}`, this.revision);
    return this.#ask(subject, async (fetch) => {
      const files: ListedFile[] = [];
      let entries = 0;
      const path = folder === '' ? {} : { path: encodePath(folder) };
      const repo = { type: 'model', name: this.name } as const;
      const listing = { repo, revision: commit, hubUrl: this.settings.endpoint, fetch, ...path };
      for await (const entry of this.library.listFiles(listing)) {
        if (++entries > MAX_FILES) throw unreadable(subject, `more than ${MAX_FILES} of them`);
        const file = parseEntry(entry);
        if (file !== undefined) files.push(file);
      }
      return files;
    });
  }

  /** Where a file is downloaded from. A commit's files never change, so it needs no ETag. */
  remote(commit: string, { path, size, sum }: ListedFile): RemoteFile {
    const url = new URL(`${this.settings.endpoint}/${this.name}/resolve/${commit}/${encodePath(path)}`);
    return { url, size, sum, etag: undefined, subject: this.#subject(`${path} of ${this.name}`) };
  }

  #subject(what: string, revision?: string): Subject {
    return { what, repository: this.name, revision };
  }

  /** Whatever the library makes of a hostile answer is one error. */
  async #ask<T>(subject: Subject, question: (fetch: typeof globalThis.fetch) => Promise<T>): Promise<T> {
    let pages = 0;
    let failure: unknown;
    const fetch: typeof globalThis.fetch = async (input, init) => {
      try {
        if (++pages > MAX_FILES / 100) throw unreadable(subject, `more than ${pages - 1} pages`);
        const headers = Object.fromEntries(new Headers(init?.headers));
        return await this.connection.fetch(new URL(String(input)), headers, subject);
      } catch (error) {
        failure = error;
        throw error;
      }
    };
    try {
      return await question(fetch);
    } catch (error) {
      if (error === failure || error instanceof XgenmmError) throw error;
      throw unreadable(subject, `something else (${error instanceof Error ? error.name : 'no error'})`);
    }
  }
}

function parseEntry(entry: unknown): ListedFile | undefined {
  const { type, path, size, oid, lfs } = (entry ?? {}) as Record<string, unknown>;
  if (type !== 'file' || typeof path !== 'string' || !isSafePath(path)) return undefined;
  if (!Number.isSafeInteger(size) || (size as number) < 0 || (size as number) > MAX_FILE_BYTES)
    return undefined;
  const large = (lfs as { oid?: unknown } | undefined | null)?.oid;
  if (typeof large === 'string' && /^[0-9a-f]{64}$/.test(large)) {
    return { path, size: size as number, sum: { kind: 'sha256', hex: large } };
  }
  if (lfs !== undefined || typeof oid !== 'string' || !isCommit(oid)) return undefined;
  return { path, size: size as number, sum: { kind: 'git', hex: oid } };
}

function encodePath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/');
}

function unreadable({ what }: Subject, received: string): XgenmmError {
  return new XgenmmError(
    'ERR_XGENMM_DOWNLOAD',
    `Expected ${what}, received ${received}: is HF_ENDPOINT a hub?`,
  );
}
