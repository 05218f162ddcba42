import { Command } from 'commander';
import { quantize } from '../convert/quantize.js';
import { makeFile } from './file-making.js';
import { addTypeFlags, type TypeFlags } from './type-flags.js';

export function quantizeCommand(): Command {
  const command = new Command('quantize')
    .summary('make a smaller file of a model file')
    .description(
      'Writes a model in other types. What is quantised must be f32, f16 or bf16, or in the wanted type already.',
    )
    .argument('<input>', 'GGUF file: a whole model, a text-only phi3 model or a vision part')
    .argument('<output>', 'GGUF file to write; replaced when it exists');
  return addTypeFlags(command, 'the text stays as it is')
    .addHelpText(
      'after',
      `
Examples:
  $ xgen-mm quantize model-f16.gguf model-q4_k_m.gguf --type q4_k_m
  $ xgen-mm quantize model-f16.gguf model.gguf --type q4_0 --vision f16 --imatrix importance.gguf
  $ xgen-mm quantize vision-f16.gguf vision-q8_0.gguf --vision q8_0`,
    )
    .action((input: string, output: string, flags: TypeFlags) =>
      makeFile('Quantising', (options) => quantize(input, output, { ...flags, ...options })),
    );
}
