import { Command, Option } from 'commander';
import { VARIANTS } from '../convert/variant.js';
import { type PullOptions, pull } from '../pull/pull.js';
import { Interruption } from './interruption.js';
import { PullProgress } from './pull-progress.js';
import { addTypeFlags, type TypeFlags } from './type-flags.js';

type PullFlags = TypeFlags & Pick<PullOptions, 'revision' | 'variant' | 'output'>;

export function pullCommand(): Command {
  const command = new Command('pull')
    .summary('get a model from Hugging Face, ready to run')
    .description(
      'Downloads a checkpoint from Hugging Face and converts it, or downloads a GGUF file. The path of the model goes to stdout.',
    )
    .argument('<model>', 'owner/name on huggingface.co, its URL, or the https URL of a GGUF file');
  return addTypeFlags(command, 'q4_k_m; of several GGUF files, the one whose name speaks of it is taken')
    .addOption(
      new Option(
        '--variant <variant>',
        'which of the four models it is (default: what the name of the repository says)',
      ).choices(VARIANTS),
    )
    .option('--revision <revision>', 'branch, tag or commit (default: main)')
    .option('-o, --output <file>', "where to put the model (default: in Hugging Face's folder)")
    .addHelpText(
      'after',
      `
What was downloaded is kept in Hugging Face's cache: a pull that was stopped goes on where it was, and a second one
downloads nothing. Afterwards every command takes hf:owner/name as the model, or hf:owner/name:q8_0 for one of a type.

Environment: HF_HOME and HF_HUB_CACHE (folders), HF_TOKEN (for gated repositories), HF_ENDPOINT (a mirror),
HF_HUB_OFFLINE=1.

Examples:
  $ xgen-mm pull Salesforce/xgen-mm-phi3-mini-instruct-interleave-r-v1.5
  $ xgen-mm pull Salesforce/xgen-mm-phi3-mini-base-r-v1.5 --type q8_0 --output base.gguf
  $ xgen-mm pull https://example.com/models/model-q4_k_m.gguf
  $ xgen-mm ask "$(xgen-mm pull me/my-finetune --variant instruct-singleimg)" -i sea.jpg "What is this?"`,
    )
    .action(run);
}

async function run(model: string, flags: PullFlags): Promise<void> {
  await Interruption.guard(async ({ signal }) => {
    const progress = new PullProgress();
    try {
      const path = await pull(model, {
        ...flags,
        signal,
        onDownload: (state) => progress.download(state),
        onConvert: (done, total) => progress.convert(done, total),
        onNote: (note) => progress.note(note),
      });
      progress.clear();
      process.stdout.write(`${path}\n`);
    } catch (error) {
      if (signal.aborted) progress.note('Stopped. The same command goes on with what was downloaded.');
      throw error;
    } finally {
      progress.clear();
    }
  });
}
