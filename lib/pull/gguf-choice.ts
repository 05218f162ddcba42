import { XgenmmError } from '../errors.js';
import { describe } from '../options.js';
import { isGguf } from './pull-source.js';

const SHOWN = 20;

/** The GGUF file of a repository that is meant: the only one, or the one whose name speaks of the type. */
export function chooseGguf(paths: readonly string[], type: string | undefined, byDefault: string): string {
  const files = paths.filter(isGguf);
  const [only] = files;
  if (only !== undefined && files.length === 1 && type === undefined) return only;
  const wanted = type ?? byDefault;
  const fitting = files.filter((path) => typeInName(path, [wanted]) !== undefined);
  const [chosen] = fitting;
  if (chosen !== undefined && fitting.length === 1) return chosen;
  const names = files.slice(0, SHOWN).join(', ') + (files.length > SHOWN ? ', …' : '');
  throw new XgenmmError(
    'ERR_XGENMM_INVALID_ARGUMENT',
    `Expected a type that the name of one GGUF file speaks of, received ${describe(wanted)}, which fits ${fitting.length} of ${names}; name another type, or give the URL of the file`,
  );
}

/** The one of `types` that a file's name speaks of, as in `model-Q4_K_M.gguf`. */
export function typeInName(path: string, types: readonly string[]): string | undefined {
  const words = path.toLowerCase().split(/[^a-z0-9_]+/);
  return types.find((type) => words.includes(type));
}
