import { accessSync, constants, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { XgenmmError } from '../errors.js';
import { invalid } from '../options.js';
import { type Environment, pulledFolder } from './hf-home.js';
import { makeFolder, replaceFile } from './hub-cache.js';
import { checkRepository, repositoryFolder } from './names.js';

const PREFIX = 'hf:';
/** The note of what the last pull of a repository made, whatever its type. */
const LAST = 'last';

/** Whether this names a repository rather than a file. */
export function isPulledName(location: unknown): location is string {
  return typeof location === 'string' && location.startsWith(PREFIX);
}

/**
 * The file that the last `xgen-mm pull` of a repository left: of `hf:owner/name`, or of `hf:owner/name:q8_0`, the last of that type.
 * Reads a note in Hugging Face's folder, and never the network. Throws ERR_XGENMM_INVALID_ARGUMENT or ERR_XGENMM_FILE_NOT_FOUND.
 */
export function findPulled(location: string, env: Environment = process.env): string {
  const [name = '', type, ...rest] = location.slice(PREFIX.length).split(':');
  if (rest.length > 0 || (type !== undefined && !/^[a-z0-9_]+$/.test(type))) {
    throw invalid('the model', 'hf:owner/name or hf:owner/name:type', location);
  }
  const folder = join(pulledFolder(env), repositoryFolder(checkRepository(name)));
  const note = noteOf(folder, type ?? LAST);
  const command = `npx xgen-mm pull ${name}${type === undefined ? '' : ` --type ${type}`}`;
  try {
    const path = resolve(dirname(note), readFileSync(note, 'utf8').trim());
    accessSync(path, constants.R_OK);
    return path;
  } catch (cause) {
    throw new XgenmmError(
      'ERR_XGENMM_FILE_NOT_FOUND',
      `Expected a model that was pulled for ${location}, received none in ${folder}; run: ${command}`,
      { cause },
    );
  }
}

/** Notes, for {@link findPulled}, that a pull of `repository` has left a file at `path`. */
export async function notePulled(
  pulled: string,
  repository: string,
  type: string | undefined,
  path: string,
): Promise<void> {
  const folder = join(pulled, repositoryFolder(repository));
  for (const name of type === undefined ? [LAST] : [type, LAST]) {
    const note = noteOf(folder, name);
    const text = `${relative(dirname(note), path)}\n`;
    // A folder that can only be read may hold it already.
    if ((await readFile(note, 'utf8').catch(() => undefined)) === text) continue;
    await makeFolder(dirname(note));
    await replaceFile(note, text);
  }
}

function noteOf(folder: string, name: string): string {
  return join(folder, 'refs', name);
}
