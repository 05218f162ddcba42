import { Command } from 'commander';
import { loadAddon } from '../addon.js';
import { compare } from '../compare/compare.js';
import { plotComparison } from '../compare/plot.js';
import { checkOutput, OutputFile } from '../convert/output-file.js';
import { checkSeparate } from '../convert/separate-output.js';
import { modelPath } from '../model-path.js';
import { filePath } from '../options.js';
import { listPictures } from '../samples/picture-list.js';
import { describeComparison } from './comparison-text.js';
import { Interruption } from './interruption.js';
import { addSampleFlags, type SampleFlags } from './sample-flags.js';
import { StageBar } from './stage-bar.js';
import { visible, visibleJson } from './visible.js';

interface CompareFlags extends SampleFlags {
  plot?: string;
  json?: true;
}

export function compareCommand(): Command {
  const command = new Command('compare')
    .summary('say what a quantisation cost')
    .description(
      'Runs two model files on the same texts and pictures and says how far the second is from the first. Without --text and --images it takes a few of our own.',
    )
    .argument('<a>', 'GGUF file to measure against, for example in f16')
    .argument('<b>', 'GGUF file of the same checkpoint to judge');
  return addSampleFlags(command)
    .option('--plot <file>', 'write an SVG: divergence over positions, error by layer')
    .option('--json', 'print everything as one line of JSON; sizes are in bytes')
    .addHelpText(
      'after',
      `
Examples:
  $ xgen-mm compare model-f16.gguf model-q4_k_m.gguf
  $ xgen-mm compare model-f16.gguf model-q4_k_m.gguf --text notes.txt --images photos/ --plot cost.svg
  $ xgen-mm compare model-f16.gguf model-q8_0.gguf --json > cost.json`,
    )
    .action(run);
}

async function run(a: string, b: string, { plot, json, ...flags }: CompareFlags): Promise<void> {
  const { text = [], images = [] } = flags;
  await Interruption.guard(async ({ signal }) => {
    const bar = new StageBar();
    const first = modelPath(a, 'the model a');
    const second = modelPath(b, 'the model b');
    const inputs = [first, second, ...text, ...(await listPictures(images))];
    const file = plot === undefined ? undefined : await createPlot(plot, inputs);
    try {
      const comparison = await compare(loadAddon(), first, second, {
        ...flags,
        onProgress: (stage, fraction) => bar.show(visible(stage), fraction),
        onNote: (note) => process.stderr.write(`Note: ${visible(note)}\n`),
        signal,
      });
      bar.clear();
      process.stdout.write(`${json ? visibleJson(comparison) : describeComparison(comparison).join('\n')}\n`);
      if (file !== undefined) {
        const svg = Buffer.from(plotComparison(comparison));
        await file.write(svg, 0);
        await file.commit(svg.length);
      }
    } catch (error) {
      await file?.discard();
      throw error;
    } finally {
      bar.clear();
    }
  });
}

async function createPlot(plot: string, inputs: string[]): Promise<OutputFile> {
  const path = filePath(plot, 'the plot');
  await checkSeparate(path, inputs);
  return OutputFile.create(await checkOutput(path, 0));
}
