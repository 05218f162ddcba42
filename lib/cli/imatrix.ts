import { Command } from 'commander';
import { loadAddon } from '../addon.js';
import { modelPath } from '../model-path.js';
import { filePath } from '../options.js';
import { collectImportance } from '../samples/collect-importance.js';
import { Interruption } from './interruption.js';
import { addSampleFlags, type SampleFlags } from './sample-flags.js';
import { StageBar } from './stage-bar.js';
import { visible } from './visible.js';

export function imatrixCommand(): Command {
  const command = new Command('imatrix')
    .summary('find out which weights matter, for a better quantisation')
    .description(
      'Runs a model on texts and pictures and writes how much each column of its weights counts, for --imatrix of convert and quantize. Without --text and --images it takes a few of our own; yours should look like what the model will be asked.',
    )
    .argument('<model>', 'GGUF file to run, as exact as memory allows')
    .argument('<output>', "file to write, in llama.cpp's imatrix format; replaced when it exists");
  return addSampleFlags(command)
    .addHelpText(
      'after',
      `
Examples:
  $ xgen-mm imatrix model-f16.gguf model.imatrix --text notes.txt --images photos/
  $ xgen-mm quantize model-f16.gguf model-iq4_nl.gguf --type iq4_nl --imatrix model.imatrix`,
    )
    .action(imatrix);
}

async function imatrix(model: string, output: string, flags: SampleFlags): Promise<void> {
  await Interruption.guard(async ({ signal }) => {
    const bar = new StageBar();
    try {
      await collectImportance(loadAddon(), modelPath(model, 'the model'), filePath(output, 'the output'), {
        ...flags,
        onProgress: (stage, fraction) => bar.show(visible(stage), fraction),
        onNote: (note) => process.stderr.write(`Note: ${visible(note)}\n`),
        signal,
      });
    } finally {
      bar.clear();
    }
  });
}
