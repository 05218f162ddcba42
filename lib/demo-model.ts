import { accessSync, constants } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { XgenmmError } from './errors.js';

const NAME = 'demo';

/** Where the package keeps its model and the pictures that belong to it, from `lib/` as from `dist/`. */
const MODELS = new URL('../models/', import.meta.url);

/** Whether this names the model that comes with the package rather than a file; a file called so is `./demo`. */
export function isDemoName(location: unknown): boolean {
  return location === NAME;
}

/** The file of the toy model that comes with the package. Throws ERR_XGENMM_FILE_NOT_FOUND where somebody removed it. */
export function findDemoModel(models = MODELS): string {
  const remedy = 'it comes with the package, so install that again, or name a file called demo as ./demo';
  return find(new URL('demo.gguf', models), 'the model that `demo` stands for', remedy);
}

/** The folder with the pictures that the demo shows, and with `scenes.json`, which lists them. Throws as {@link findDemoModel} does. */
export function findDemoPictures(models = MODELS): string {
  const remedy = 'it comes with the package, so install that again';
  return dirname(find(new URL('demo/scenes.json', models), "the list of the demo's scenes", remedy));
}

function find(file: URL, what: string, remedy: string): string {
  const path = fileURLToPath(file);
  try {
    accessSync(path, constants.R_OK);
  } catch (cause) {
    throw new XgenmmError(
      'ERR_XGENMM_FILE_NOT_FOUND',
      `Expected ${what} at ${path}, received ${(cause as NodeJS.ErrnoException).code}: ${remedy}`,
      { cause },
    );
  }
  return path;
}
