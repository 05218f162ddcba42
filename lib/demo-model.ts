import { accessSync, constants } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { XgenmmError } from './errors.js';

const NAME = 'demo';

/** Where the package keeps its model and the pictures that belong to it, from `lib/` as from `dist/`. */
const MODELS = new URL('../models/', import.meta.url);

/** The pictures that the demo shows, and `scenes.json`, which lists them. */
export const DEMO_PICTURES = fileURLToPath(new URL('demo/', MODELS));

/** Whether this names the model that comes with the package rather than a file; a file called so is `./demo`. */
export function isDemoName(location: unknown): boolean {
  return location === NAME;
}

/** The file of the toy model that comes with the package. Throws ERR_XGENMM_FILE_NOT_FOUND where somebody removed it. */
export function findDemoModel(models = MODELS): string {
  const path = fileURLToPath(new URL('demo.gguf', models));
  try {
    accessSync(path, constants.R_OK);
  } catch (cause) {
    throw new XgenmmError(
      'ERR_XGENMM_FILE_NOT_FOUND',
      `Expected the model that \`demo\` stands for at ${path}, received ${(cause as NodeJS.ErrnoException).code}: it comes with the package, so install that again, or name a file called demo as ./demo`,
      { cause },
    );
  }
  return path;
}
