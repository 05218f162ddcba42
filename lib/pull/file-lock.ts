import { randomUUID } from 'node:crypto';
import { open, readFile, rm, stat, utimes } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import { XgenmmError } from '../errors.js';

/** How often the holder touches its file. */
const BEAT_MS = 2000;
/** A file that nobody has touched for so long belongs to a process that is gone. */
const STALE_MS = 15_000;
const POLL_MS = 250;
const MAX_MISSING = 40;

/**
 * What one process at a time may hold: a file that its holder touches every now and then. Ages are told by watching the file, so
 * that clocks of other machines do not matter.
 */
export class FileLock {
  readonly #beat: NodeJS.Timeout;

  private constructor(
    private readonly path: string,
    private readonly owner: string,
  ) {
    const touch = () => {
      const now = new Date();
      utimes(path, now, now).catch(() => undefined);
    };
    this.#beat = setInterval(touch, BEAT_MS).unref();
  }

  /** Waits until the lock is free or its holder is gone. `onWait` is called once if it has to wait. */
  static async acquire(
    path: string,
    onWait: () => void,
    signal: AbortSignal | undefined,
    staleMs = STALE_MS,
  ): Promise<FileLock> {
    let seen: { content: string; touched: number; since: number } | undefined;
    for (let missing = 0; ; ) {
      signal?.throwIfAborted();
      const lock = await FileLock.#create(path);
      if (lock !== undefined) return lock;
      const holder = await observe(path);
      if (holder === undefined) {
        // It was released just now, or, on Windows, a deleted file is still open somewhere.
        if (++missing > MAX_MISSING) throw unusable(path, new Error('it can be neither created nor read'));
        await setTimeout(POLL_MS);
        continue;
      }
      missing = 0;
      if (seen === undefined) onWait();
      if (seen?.content !== holder.content || seen.touched !== holder.touched) {
        seen = { ...holder, since: performance.now() };
      } else if (performance.now() - seen.since >= staleMs) {
        await FileLock.#takeAway(path, holder.content, signal, staleMs);
        continue;
      }
      await setTimeout(POLL_MS);
    }
  }

  /** Removes the file of a process that is gone, unless another of those that waited was quicker: one at a time looks. */
  static async #takeAway(
    path: string,
    content: string,
    signal: AbortSignal | undefined,
    staleMs: number,
  ): Promise<void> {
    const taking = await FileLock.acquire(`${path}.taking`, () => {}, signal, staleMs);
    try {
      if ((await observe(path))?.content !== content) return;
      await rm(path, { force: true, maxRetries: 5 }).catch((cause) => {
        throw unusable(path, cause);
      });
    } finally {
      await taking.release();
    }
  }

  static async #create(path: string): Promise<FileLock | undefined> {
    const file = await open(path, 'wx').catch((cause: NodeJS.ErrnoException) => {
      if (cause.code === 'EEXIST' || cause.code === 'EPERM') return undefined;
      throw unusable(path, cause);
    });
    if (file === undefined) return undefined;
    const owner = randomUUID();
    try {
      await file.writeFile(owner).finally(() => file.close());
    } catch (cause) {
      await rm(path, { force: true });
      throw unusable(path, cause as Error);
    }
    return new FileLock(path, owner);
  }

  /** Throws ERR_XGENMM_DOWNLOAD if another process has taken this one for gone, while it slept for example. */
  async assertHeld(): Promise<void> {
    if ((await observe(this.path))?.content === this.owner) return;
    throw new XgenmmError(
      'ERR_XGENMM_DOWNLOAD',
      'Expected to be the only process that downloads this file, but another one has taken over; run the command again',
    );
  }

  async release(): Promise<void> {
    clearInterval(this.#beat);
    if ((await observe(this.path))?.content === this.owner) await rm(this.path, { force: true });
  }
}

/** What is in a lock's file and when it was touched; undefined if there is none. */
async function observe(path: string): Promise<{ content: string; touched: number } | undefined> {
  try {
    const [content, { mtimeMs }] = await Promise.all([readFile(path, 'utf8'), stat(path)]);
    return { content, touched: mtimeMs };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'EPERM' || code === 'EBUSY') return undefined;
    throw unusable(path, error as Error);
  }
}

function unusable(path: string, cause: Error): XgenmmError {
  return new XgenmmError('ERR_XGENMM_WRITE_FAILED', `Could not lock ${path}: ${cause.message}`, { cause });
}
