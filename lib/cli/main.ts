#!/usr/bin/env node
import { createRequire } from 'node:module';
import { Command, CommanderError } from 'commander';
import { XgenmmError } from '../errors.js';
import { askCommand } from './ask.js';
import { chatCommand } from './chat.js';
import { compareCommand } from './compare.js';
import { convertCommand } from './convert.js';
import { demoCommand } from './demo.js';
import { doctorCommand } from './doctor.js';
import { describeFailure } from './failure.js';
import { imatrixCommand } from './imatrix.js';
import { inspectCommand } from './inspect.js';
import { pullCommand } from './pull.js';
import { quantizeCommand } from './quantize.js';

const { version } = createRequire(import.meta.url)('../../package.json') as { version: string };

const program = new Command('xgen-mm')
  .description('Runs xGen-MM (BLIP-3) vision-language models: pictures and text in, an answer out.')
  .version(version)
  .addCommand(demoCommand())
  .addCommand(pullCommand())
  .addCommand(askCommand())
  .addCommand(chatCommand())
  .addCommand(inspectCommand())
  .addCommand(convertCommand())
  .addCommand(quantizeCommand())
  .addCommand(imatrixCommand())
  .addCommand(compareCommand())
  .addCommand(doctorCommand(version))
  .addHelpText(
    'after',
    `
Examples:
  $ xgen-mm demo
  $ xgen-mm pull Salesforce/xgen-mm-phi3-mini-instruct-interleave-r-v1.5 --output model.gguf
  $ xgen-mm ask model.gguf --image street.jpg "What does the sign say?"
  $ xgen-mm chat model.gguf

xgen-mm help <command> says more about each.`,
  );

// A reader that has seen enough (`xgen-mm ask … | head -1`) is no error.
let unwritable = false;
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE' || unwritable) return;
  unwritable = true;
  const failed = new XgenmmError('ERR_XGENMM_WRITE_FAILED', `Could not write the answer: ${error.message}`);
  process.exitCode = report(failed);
});

// Nor is one who does not want to hear what else there is to say.
process.stderr.on('error', () => {});

for (const command of [program, ...program.commands]) {
  command.exitOverride();
  const name = command === program ? '' : ` ${command.name()}`;
  command.showHelpAfterError(`(xgen-mm${name} --help says what there is)`);
}
try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error);
}

/** Says on stderr what went wrong unless commander has said it already; the exit code is 0 for help, 2 for wrong usage, else 1. */
function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  process.stderr.write(describeFailure(error));
  return 1;
}
