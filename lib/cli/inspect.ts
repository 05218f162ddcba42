import { Command } from 'commander';
import { loadAddon } from '../addon.js';
import { translated } from '../engine.js';
import { modelPath } from '../model-path.js';
import { integerBetween } from '../options.js';
import { numberThat } from './flag-values.js';
import { describeInspection, describeMemory } from './inspection-text.js';
import { estimateMemory } from './memory-estimate.js';
import { visibleJson } from './visible.js';

interface InspectFlags {
  context?: number;
  sequences: number;
  json?: true;
}

export function inspectCommand(): Command {
  return new Command('inspect')
    .summary('say what is in a model file and what memory it takes')
    .description('Says what is in a model file and how much memory it would take; the weights are not read.')
    .argument(
      '<model>',
      'GGUF file: a whole model, a text-only phi3 model or a vision part; `demo`, or hf:owner/name',
    )
    .option(
      '--context <positions>',
      "context to estimate the memory for (default: 1024, 2048 and 4096, up to the model's own)",
      numberThat(integerBetween(1, 2 ** 20)),
    )
    .option(
      '--sequences <count>',
      'sequences whose keys and values are kept at the same time',
      numberThat(integerBetween(1, 256)),
      2,
    )
    .option('--json', 'print everything as JSON; sizes are in bytes')
    .addHelpText(
      'after',
      `
Examples:
  $ xgen-mm inspect model.gguf
  $ xgen-mm inspect model.gguf --context 3000 --sequences 1
  $ xgen-mm inspect model.gguf --json > model.json`,
    )
    .action(inspect);
}

function inspect(file: string, { context = 0, sequences, json }: InspectFlags): void {
  const addon = loadAddon();
  const path = modelPath(file, 'the model');
  const inspection = translated(() => addon.inspectFile(path, context));
  const memory = estimateMemory(
    inspection,
    translated(() => addon.systemInfo()),
    sequences,
  );
  const output = json
    ? visibleJson({ ...inspection, sequences, memory }, 2)
    : [...describeInspection(inspection), ...describeMemory(inspection, memory, sequences)].join('\n');
  process.stdout.write(`${output}\n`);
}
