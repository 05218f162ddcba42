import { Command } from 'commander';
import { XgenmmError } from '../errors.js';
import { CHAT_HELP } from './chat-line.js';
import { ChatSession } from './chat-session.js';
import { Interruption } from './interruption.js';
import { addModelFlags, type ModelFlags, openModel } from './model-flags.js';
import { addSamplingFlags, type SamplingFlags, samplingOptions } from './sampling-flags.js';
import { StageBar } from './stage-bar.js';

export function chatCommand(): Command {
  const command = new Command('chat')
    .summary('answer one question after another')
    .description('Answers one question after another in the light of what was said; answers go to stdout.')
    .argument(
      '<model>',
      'GGUF file of an instruct model, `demo`, or hf:owner/name after `xgen-mm pull owner/name`',
    );
  return addModelFlags(addSamplingFlags(command))
    .addHelpText(
      'after',
      `
Each line is a question, or one of these:
${CHAT_HELP.replace(/^/gm, '  ').trimEnd()}
When the context is full, the oldest turns are forgotten. If the questions come from a file or pipe, the exit code
is 1 when one of them failed.

Examples:
  $ xgen-mm chat model.gguf
  $ xgen-mm chat model.gguf --system "Answer in one sentence." --temperature 0.7
  $ printf '/image street.jpg\\nWhat is this?\\nWhere could it be?\\n' | xgen-mm chat model.gguf > answers.txt`,
    )
    .action(chat);
}

async function chat(file: string, flags: SamplingFlags & ModelFlags): Promise<void> {
  await Interruption.guard(async (interruption) => {
    const model = await openModel(file, flags, new StageBar(), interruption.signal);
    try {
      if (model.info.variant === 'base') {
        throw new XgenmmError(
          'ERR_XGENMM_MODEL_UNSUPPORTED',
          'Expected an instruct model for a chat, received a base model, which continues texts: use `xgen-mm ask`',
        );
      }
      const options = { system: flags.system, overflow: 'drop-oldest' as const };
      await new ChatSession(model, options, samplingOptions(flags), interruption).run();
    } finally {
      await model.dispose();
    }
  });
}
