import { realpath } from 'node:fs/promises';
import { XgenmmError } from '../errors.js';

/** Throws ERR_XGENMM_INVALID_ARGUMENT if `output` is, by whatever name, one of the files that are read: it would take their place. */
export async function checkSeparate(output: string, inputs: readonly (string | undefined)[]): Promise<void> {
  const resolve = (path: string) => realpath(path).catch(() => undefined);
  const target = await resolve(output);
  if (target === undefined) return;
  for (const input of inputs) {
    if (input === undefined || (await resolve(input)) !== target) continue;
    throw new XgenmmError(
      'ERR_XGENMM_INVALID_ARGUMENT',
      `Expected an output beside what is read, received ${output}, which is to be read itself`,
    );
  }
}
