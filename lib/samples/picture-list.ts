import { readdir, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { XgenmmError } from '../errors.js';

/** Names of what is read of a folder; a file that is named itself may be called anything. */
const EXTENSIONS = ['.jpg', '.jpeg', '.png', '.webp', '.gif', '.tif', '.tiff', '.avif', '.svg'];

/**
 * The pictures that `paths` name, those of a folder (not of the folders in it) in the order of their names. Throws
 * ERR_XGENMM_FILE_NOT_FOUND, and ERR_XGENMM_INVALID_ARGUMENT for a folder without pictures.
 */
export async function listPictures(paths: readonly string[]): Promise<string[]> {
  const lists: string[][] = [];
  for (const path of paths) {
    const info = await stat(path).catch((cause) => {
      throw unreadable(path, cause);
    });
    lists.push(info.isDirectory() ? await picturesIn(path) : [path]);
  }
  return lists.flat();
}

async function picturesIn(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch((cause) => {
    throw unreadable(folder, cause);
  });
  const pictures = names.filter((name) => EXTENSIONS.includes(extname(name).toLowerCase())).sort();
  if (pictures.length === 0) {
    throw new XgenmmError(
      'ERR_XGENMM_INVALID_ARGUMENT',
      `Expected a folder with pictures (${EXTENSIONS.join(' ')}), received ${folder}, which has none`,
    );
  }
  return pictures.map((name) => join(folder, name));
}

function unreadable(path: string, cause: NodeJS.ErrnoException): XgenmmError {
  return new XgenmmError(
    'ERR_XGENMM_FILE_NOT_FOUND',
    `Expected a readable picture or folder at ${path}, received ${cause.code ?? cause.message}`,
    { cause },
  );
}
