import { XgenmmError } from '../errors.js';
import { describe } from '../options.js';
import type { CheckpointFolder } from './checkpoint-folder.js';
import type { Variant } from './variant.js';

const FILE = 'generation_config.json';

/** How the checkpoint's authors let it answer. */
export interface GenerationDefaults {
  maxTokens: number;
  /** 0: greedy. */
  temperature: number;
  /** 1: none. */
  repetitionPenalty: number;
}

/** What generation_config.json says; where it is silent, what the variant's official examples do. */
export async function readGenerationDefaults(
  folder: CheckpointFolder,
  variant: Variant,
): Promise<GenerationDefaults> {
  const json = (await folder.has(FILE)) ? await folder.readJson(FILE) : {};
  const positive = (key: string, byDefault: number, isAllowed: (value: number) => boolean = () => true) => {
    const value = json[key] ?? byDefault;
    if (typeof value !== 'number' || !(Math.fround(value) > 0) || value > 2 ** 31 || !isAllowed(value)) {
      throw new XgenmmError(
        'ERR_XGENMM_MODEL_INVALID',
        `Expected a positive number for ${key} in ${FILE}, received ${describe(value)}`,
      );
    }
    return value;
  };
  return {
    maxTokens: positive('max_new_tokens', variant === 'base' ? 256 : 1024, Number.isInteger),
    temperature: json.do_sample === true ? positive('temperature', 1) : 0,
    repetitionPenalty: positive('repetition_penalty', 1),
  };
}
