import { stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { XgenmmError } from '../errors.js';
import { formatBytes } from '../quantity.js';

/** Bytes that are about to be written below a folder, which need not exist yet. */
export interface Need {
  folder: string;
  bytes: number;
  /** For example `the checkpoint`. */
  what: string;
}

/**
 * A sentence that says what is needed and what is free. Throws ERR_XGENMM_WRITE_FAILED with the numbers where a disk has too little.
 * `free`: free bytes of the file system that a folder is on.
 */
export async function checkSpace(
  needs: readonly Need[],
  free: (folder: string) => Promise<number> = freeBytes,
): Promise<string> {
  const disks = new Map<number, Need[]>();
  for (const need of needs) {
    const folder = await existing(need.folder);
    const { dev } = await stat(folder);
    disks.set(dev, [...(disks.get(dev) ?? []), { ...need, folder }]);
  }
  const sentences: string[] = [];
  for (const parts of disks.values()) {
    const { folder } = parts[0] as Need;
    const total = parts.reduce((sum, { bytes }) => sum + bytes, 0);
    const available = await free(folder);
    const list = parts.map(({ what, bytes }) => `${formatBytes(bytes)} for ${what}`).join(' and ');
    if (total > available) {
      throw new XgenmmError(
        'ERR_XGENMM_WRITE_FAILED',
        `Expected ${formatBytes(total)} of free space at ${folder} (${list}), received ${formatBytes(available)}; free some, or set HF_HOME to a folder on another disk`,
      );
    }
    sentences.push(`${list}; ${formatBytes(available)} are free at ${folder}`);
  }
  return `Needs ${sentences.join(', ')}.`;
}

async function freeBytes(folder: string): Promise<number> {
  const { bavail, bsize, blocks } = await statfs(folder);
  // Where a file system does not tell, writing will.
  return blocks === 0 ? Number.POSITIVE_INFINITY : bavail * bsize;
}

/** The folder, or the nearest one above it that exists. */
async function existing(folder: string): Promise<string> {
  for (let path = folder; ; path = dirname(path)) {
    const isThere = await stat(path).then(
      (status) => status.isDirectory(),
      () => false,
    );
    if (isThere || path === dirname(path)) return path;
  }
}
