import { Presets, SingleBar } from 'cli-progress';
import { Command, Option } from 'commander';
import { type ConvertOptions, convert } from '../convert/convert.js';
import { VARIANTS } from '../convert/variant.js';

export function convertCommand(): Command {
  return new Command('convert')
    .summary('make a GGUF file of a checkpoint from Hugging Face')
    .description('Writes a checkpoint folder from Hugging Face as one GGUF file.')
    .argument('<folder>', 'folder with config.json, the safetensors files and the tokenizer files')
    .argument('<output>', 'GGUF file to write; replaced when it exists')
    .addOption(
      new Option('-t, --type <type>', 'what matrices are stored in; everything else is f32')
        .choices(['f32', 'f16', 'bf16'])
        .default('f16'),
    )
    .addOption(
      new Option(
        '--variant <variant>',
        'which of the four models it is (default: what the name of the repository or folder says)',
      ).choices(VARIANTS),
    )
    .addHelpText(
      'after',
      `
Examples:
  $ xgen-mm convert xgen-mm-phi3-mini-instruct-interleave-r-v1.5 interleave-f16.gguf
  $ xgen-mm convert xgen-mm-phi3-mini-base-r-v1.5 base-bf16.gguf --type bf16
  $ xgen-mm convert my-finetune my-finetune.gguf --variant instruct-singleimg`,
    )
    .action(run);
}

async function run(
  folder: string,
  output: string,
  options: Pick<ConvertOptions, 'type' | 'variant'>,
): Promise<void> {
  const interrupt = new AbortController();
  const { signal } = interrupt;
  const stop = () => interrupt.abort();
  // A second Ctrl-C finds no listener and ends the process at once.
  process.once('SIGINT', stop);
  const bar = new SingleBar(
    {
      format: 'Converting {bar} {percentage}%, {eta_formatted} left',
      clearOnComplete: true,
      // A second Ctrl-C ends the process without setting the terminal back.
      linewrap: true,
    },
    Presets.shades_classic,
  );
  const onProgress = process.stderr.isTTY ? showProgress(bar) : undefined;
  const onNote = (note: string) => process.stderr.write(`Note: ${note}\n`);
  try {
    await convert(folder, output, { ...options, signal, onProgress, onNote });
  } catch (error) {
    if (error !== signal.reason) throw error;
    process.exitCode = 130;
  } finally {
    if (bar.isActive) bar.stop();
    process.removeListener('SIGINT', stop);
  }
}

function showProgress(bar: SingleBar): (done: number, total: number) => void {
  return (done, total) => {
    if (bar.isActive) bar.update(done);
    else bar.start(total, done);
  };
}
