import { TEXT_TYPES } from '../convert/mixture.js';
import { XgenmmError } from '../errors.js';
import { describe, invalid } from '../options.js';
import type { PullOptions } from './pull.js';
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

/** The one of `types` that a file's name speaks of for the language model, as in `model-Q4_K_M-vision-F16.gguf`. */
export function typeInName(path: string, types: readonly string[]): string | undefined {
  const words = path.toLowerCase().split(/[^a-z0-9_]+/);
  const isOther = (word: string | undefined) => word === 'vision' || word === 'resampler';
  const own = words.filter((_, index) => !isOther(words[index - 1]));
  return types.find((type) => own.includes(type));
}

/** Refuses options that would change a GGUF file, which is taken as it is, and a type that its name contradicts. */
export function checkTakenAsIs(path: string, options: PullOptions): void {
  for (const name of ['vision', 'resampler', 'imatrix', 'variant'] as const) {
    if (options[name] === undefined) continue;
    throw new XgenmmError(
      'ERR_XGENMM_INVALID_ARGUMENT',
      `Expected a checkpoint to convert for ${name}, received the GGUF file ${path}, which is taken as it is; pull it without, then use \`xgen-mm quantize\``,
    );
  }
  const { type } = options;
  const named = typeInName(path, TEXT_TYPES);
  if (type === undefined || named === undefined || typeInName(path, [type]) !== undefined) return;
  throw invalid(`the type of ${path}`, `${named} or none`, type);
}
