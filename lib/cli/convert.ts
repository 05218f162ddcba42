import { Command, Option } from 'commander';
import { convert } from '../convert/convert.js';
import { VARIANTS, type Variant } from '../convert/variant.js';
import { describeOutlook, makeFile } from './file-making.js';
import { addTypeFlags, type TypeFlags } from './type-flags.js';
import { visible } from './visible.js';

interface ConvertFlags extends TypeFlags {
  part: 'all' | 'vision';
  variant?: Variant;
  dryRun?: true;
}

export function convertCommand(): Command {
  const command = new Command('convert')
    .summary('make a GGUF file of a checkpoint from Hugging Face')
    .description('Writes a checkpoint folder from Hugging Face as one GGUF file, quantised if so wanted.')
    .argument('<folder>', 'folder with config.json, the safetensors files and the tokenizer files')
    .argument('<output>', 'GGUF file to write; replaced when it exists');
  return addTypeFlags(command, 'f16')
    .addOption(
      new Option('--part <part>', 'vision: the vision part alone, to go with a text-only phi3 file')
        .choices(['all', 'vision'])
        .default('all'),
    )
    .addOption(
      new Option(
        '--variant <variant>',
        'which of the four models it is (default: what the name of the repository or folder says)',
      ).choices(VARIANTS),
    )
    .option('--dry-run', 'check everything but the weights and print what would be written')
    .addHelpText(
      'after',
      `
Examples:
  $ xgen-mm convert xgen-mm-phi3-mini-instruct-interleave-r-v1.5 model.gguf --type q4_k_m
  $ xgen-mm convert xgen-mm-phi3-mini-base-r-v1.5 base-bf16.gguf --type bf16
  $ xgen-mm convert my-finetune my-finetune.gguf --type q5_k_m --vision f16 --variant instruct-singleimg
  $ xgen-mm convert my-finetune vision.gguf --part vision --vision q8_0`,
    )
    .action(run);
}

async function run(folder: string, output: string, flags: ConvertFlags): Promise<void> {
  if (!flags.dryRun)
    return makeFile('Converting', (options) => convert(folder, output, { ...flags, ...options }));
  const onNote = (note: string) => process.stderr.write(`Note: ${visible(note)}\n`);
  const { variant, ...outlook } = await convert(folder, output, { ...flags, onNote });
  process.stdout.write(`${describeOutlook(outlook, `variant ${variant}`).join('\n')}\n`);
}
