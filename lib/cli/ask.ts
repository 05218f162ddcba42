import { Command } from 'commander';
import type { Answer } from '../answer.js';
import type { Content } from '../content.js';
import { XgenmmError } from '../errors.js';
import type { Model } from '../model.js';
import type { AnswerStream } from '../stream.js';
import { printAnswer, showProgress } from './answer-output.js';
import { collect } from './flag-values.js';
import { Interruption } from './interruption.js';
import { addModelFlags, type ModelFlags, openModel } from './model-flags.js';
import { addSamplingFlags, type SamplingFlags, samplingOptions } from './sampling-flags.js';
import { StageBar } from './stage-bar.js';
import { visibleJson } from './visible.js';

interface AskFlags extends SamplingFlags, ModelFlags {
  image?: string[];
  json?: true;
}

export function askCommand(): Command {
  const command = new Command('ask')
    .summary('answer one question about pictures or text')
    .description('Answers one question about pictures or text; the answer goes to stdout as it comes.')
    .argument('<model>', 'GGUF file, `demo`, or hf:owner/name after `xgen-mm pull owner/name`')
    .argument('<prompt>', 'the question (for a base model: the text to continue)')
    .option(
      '-i, --image <file>',
      'picture in front of the prompt, a file or URL; may be given several times',
      collect,
    );
  return addModelFlags(addSamplingFlags(command))
    .option('--json', 'print the answer with its usage and timings as JSON when it is complete')
    .addHelpText(
      'after',
      `
Examples:
  $ xgen-mm ask model.gguf --image street.jpg "What does the sign say?"
  $ xgen-mm ask model.gguf -i before.png -i after.png "What changed?" --max-tokens 100
  $ xgen-mm ask model.gguf -i sea.jpg "Write a poem." --temperature 0.8 --top-p 0.9 --seed 7
  $ xgen-mm ask model.gguf -i receipt.jpg "List the items." --json > answer.json`,
    )
    .action(ask);
}

async function ask(file: string, prompt: string, flags: AskFlags): Promise<void> {
  await Interruption.guard(async ({ signal }) => {
    const bar = new StageBar();
    const model = await openModel(file, flags, bar, signal);
    try {
      const stream = startAnswer(model, prompt, flags, bar, signal);
      if (flags.json) {
        const answer = await stream.answer();
        bar.clear();
        printJson(answer);
      } else {
        await printAnswer(stream, bar);
      }
    } finally {
      bar.clear();
      await model.dispose();
    }
  });
}

function startAnswer(
  model: Model,
  prompt: string,
  { image = [], system, ...flags }: AskFlags,
  bar: StageBar,
  signal: AbortSignal,
): AnswerStream {
  const base = model.info.variant === 'base';
  if (base && system !== undefined) {
    throw new XgenmmError(
      'ERR_XGENMM_INVALID_ARGUMENT',
      'Expected an instruct model for --system, received a base model, which continues the prompt as it is',
    );
  }
  const content: Content = [...image.map((file) => ({ image: file })), prompt];
  return (base ? model : model.chat({ system })).stream(content, {
    ...samplingOptions(flags),
    ...showProgress(bar, image.length),
    // The user has named the URLs.
    fetchImages: true,
    signal,
  });
}

function printJson(answer: Answer): void {
  process.stdout.write(`${visibleJson({ ...answer, tokens: [...answer.tokens] })}\n`);
}
