import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { copyFile, rename, rm } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { loadAddon } from '../addon.js';
import { checkOutput } from '../convert/output-file.js';
import { translated } from '../engine.js';
import { XgenmmError } from '../errors.js';
import { makeFolder } from './hub-cache.js';

/** Reads and checks a model's file as loading would. Throws ERR_XGENMM_MODEL_INVALID or ERR_XGENMM_MODEL_UNSUPPORTED. */
export function inspectModel(path: string): void {
  const addon = loadAddon();
  translated(() => addon.inspectFile(path, 0));
}

/** Whether there is a model's file that is sound. */
export function isModel(path: string): boolean {
  try {
    inspectModel(path);
    return true;
  } catch {
    return false;
  }
}

/** Makes the folder of an output and finds, before anything is downloaded, where it could not be written. */
export async function prepareOutput(output: string): Promise<void> {
  await makeFolder(dirname(resolve(output)));
  await checkOutput(output, 0);
}

/** Copies a file, without using space where the file system can share it, and puts it in the place of whatever has that name. */
export async function copyInto(source: string, output: string): Promise<string> {
  const path = resolve(output);
  const temporary = `${path}.${randomUUID()}.tmp`;
  try {
    await makeFolder(dirname(path));
    await copyFile(source, temporary, constants.COPYFILE_FICLONE);
    await rename(temporary, path);
    return path;
  } catch (cause) {
    await rm(temporary, { force: true });
    throw new XgenmmError('ERR_XGENMM_WRITE_FAILED', `Could not write ${path}: ${(cause as Error).message}`, {
      cause,
    });
  }
}
