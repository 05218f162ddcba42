import type { GenerateOptions } from '../answer.js';
import type { AnswerStream } from '../stream.js';
import type { StageBar } from './stage-bar.js';
import { visible } from './visible.js';

/** The option `onProgress` that shows on the bar how far the pictures and the prompt are. */
export function showProgress(bar: StageBar, pictures: number): Pick<Required<GenerateOptions>, 'onProgress'> {
  const stages = {
    images: pictures > 1 ? `Looking at ${pictures} pictures` : 'Looking at the picture',
    prompt: 'Reading the prompt',
  };
  bar.show(pictures > 0 ? stages.images : stages.prompt, 0);
  return { onProgress: ({ stage, fraction }) => bar.show(stages[stage], fraction) };
}

/** Prints an answer on stdout as it comes, and ends its line, also when it fails half-way. The bar goes with the first piece. */
export async function printAnswer(stream: AnswerStream, bar: StageBar): Promise<void> {
  let open = false;
  try {
    for await (const piece of stream) {
      bar.clear();
      open = true;
      process.stdout.write(process.stdout.isTTY ? visible(piece) : piece);
    }
    open = true;
  } finally {
    bar.clear();
    if (open) process.stdout.write('\n');
  }
}
