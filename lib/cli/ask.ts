import { Presets, SingleBar } from 'cli-progress';
import { Command, InvalidArgumentError } from 'commander';
import type { Answer, GenerateOptions } from '../answer.js';
import type { Content } from '../content.js';
import { loadModel } from '../load.js';
import type { Model } from '../model.js';
import type { AnswerStream } from '../stream.js';
import { visible } from './visible.js';

interface AskOptions {
  image?: string[];
  maxTokens?: number;
  temperature?: number;
  json?: true;
}

const INTERRUPTED = new Error('Ctrl-C');
const CLOSED = new Error('nobody reads stdout any more');

export function askCommand(): Command {
  return new Command('ask')
    .description('Answers one question about pictures or text; the answer goes to stdout as it comes.')
    .argument('<model>', 'GGUF file made by `xgen-mm convert`')
    .argument('<prompt>', 'the question (for a base model: the text to continue)')
    .option('-i, --image <file>', 'picture in front of the prompt; may be given several times', collect)
    .option(
      '-n, --max-tokens <count>',
      'longest answer, in tokens (default: what the context holds)',
      parseCount,
    )
    .option(
      '-t, --temperature <number>',
      'randomness; 0 always takes the likeliest token (default: 0)',
      parseTemperature,
    )
    .option('--json', 'print the answer with its usage and timings as JSON when it is complete')
    .addHelpText(
      'after',
      `
Examples:
  $ xgen-mm ask model.gguf --image street.jpg "What does the sign say?"
  $ xgen-mm ask model.gguf -i before.png -i after.png "What changed?" --max-tokens 100
  $ xgen-mm ask model.gguf -i receipt.jpg "List the items." --json > answer.json`,
    )
    .action(ask);
}

async function ask(file: string, prompt: string, options: AskOptions): Promise<void> {
  const controller = new AbortController();
  const { signal } = controller;
  const interrupt = () => controller.abort(INTERRUPTED);
  const close = () => controller.abort(CLOSED);
  // A second Ctrl-C finds no listener and ends the process at once.
  process.once('SIGINT', interrupt);
  process.stdout.once('error', close);
  try {
    const model = await load(file, signal);
    try {
      await answer(model, prompt, options, signal);
    } finally {
      await model.dispose();
    }
  } catch (error) {
    if (error === INTERRUPTED) process.exitCode = 130;
    else if (error !== CLOSED) throw error;
  } finally {
    process.off('SIGINT', interrupt);
    process.stdout.off('error', close);
  }
}

async function load(file: string, signal: AbortSignal): Promise<Model> {
  if (!process.stderr.isTTY) return loadModel(file, { signal });
  const bar = new SingleBar(
    { format: 'Loading {bar} {percentage}%', clearOnComplete: true, hideCursor: true },
    Presets.shades_classic,
  );
  bar.start(1, 0);
  try {
    return await loadModel(file, { signal, onProgress: (fraction) => bar.update(fraction) });
  } finally {
    bar.stop();
  }
}

async function answer(model: Model, prompt: string, options: AskOptions, signal: AbortSignal): Promise<void> {
  const { image = [], maxTokens, temperature, json } = options;
  const content: Content = [...image.map((file) => ({ image: file })), prompt];
  const settings: GenerateOptions = { maxTokens, temperature, signal };
  const status = showStatus(image.length > 0 ? `Looking at ${image.length} picture(s) …` : 'Reading …');
  const target = model.info.variant === 'base' ? model : model.chat();
  const stream = target.stream(content, settings);
  try {
    if (!json) return await print(stream, status);
    const answer = await stream.answer();
    status.clear();
    printJson(answer);
  } finally {
    status.clear();
  }
}

async function print(stream: AnswerStream, status: { clear(): void }): Promise<void> {
  for await (const piece of stream) {
    status.clear();
    process.stdout.write(process.stdout.isTTY ? visible(piece) : piece);
  }
  process.stdout.write('\n');
}

function printJson(answer: Answer): void {
  process.stdout.write(`${JSON.stringify({ ...answer, tokens: [...answer.tokens] })}\n`);
}

/** A line on stderr that goes away, if somebody is watching. */
function showStatus(text: string): { clear(): void } {
  let shown = process.stderr.isTTY;
  if (shown) process.stderr.write(text);
  return {
    clear() {
      if (shown) process.stderr.write('\r\x1b[K');
      shown = false;
    },
  };
}

function collect(file: string, files: string[] = []): string[] {
  return [...files, file];
}

function parseCount(value: string): number {
  const count = Number(value);
  if (!Number.isInteger(count) || count <= 0 || count >= 2 ** 31)
    throw new InvalidArgumentError('Expected a positive integer.');
  return count;
}

function parseTemperature(value: string): number {
  const temperature = Number(value);
  if (value.trim() === '' || !Number.isFinite(temperature) || temperature < 0) {
    throw new InvalidArgumentError('Expected a number of at least 0.');
  }
  return temperature;
}
