import { type Command, Option } from 'commander';
import { TEXT_TYPES, type TextType, VISION_TYPES, type VisionType } from '../convert/mixture.js';
import { anyOf } from './flag-values.js';

/** The flags that say what a file's matrices are stored in. */
export interface TypeFlags {
  type?: TextType;
  vision?: VisionType;
  resampler?: VisionType;
  imatrix?: string;
}

/** `byDefault`: what `--type` is when it is not given, in words. */
export function addTypeFlags(command: Command, byDefault: string): Command {
  return command
    .addOption(
      new Option(
        '-t, --type <type>',
        `what the language model's matrices are stored in: ${TEXT_TYPES.join(', ')} (default: ${byDefault})`,
      ).argParser(anyOf(TEXT_TYPES)),
    )
    .addOption(
      new Option(
        '--vision <type>',
        `the same for the vision tower: ${VISION_TYPES.join(', ')} (default: q8_0 if --type is quantised, else as --type)`,
      ).argParser(anyOf(VISION_TYPES)),
    )
    .addOption(
      new Option('--resampler <type>', 'the same for the resampler (default: as the vision tower)').argParser(
        anyOf(VISION_TYPES),
      ),
    )
    .option('--imatrix <file>', 'importance matrix that guides the quantisation (see xgen-mm imatrix)');
}
