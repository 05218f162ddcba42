import type { Command } from 'commander';
import { positiveInteger } from '../options.js';
import { numberThat } from './flag-values.js';

/** What `compare` and `imatrix` let a user say about the samples. */
export interface SampleFlags {
  text?: string[];
  images?: string[];
  threads?: number;
}

export function addSampleFlags(command: Command): Command {
  return command
    .option('--text <files...>', 'texts in UTF-8, at most 4 MiB each')
    .option('--images <files...>', 'pictures, or folders with pictures')
    .option(
      '--threads <count>',
      'CPU threads (default: one for each performance core that may be used, at most 16)',
      numberThat(positiveInteger),
    );
}
