import type { Command } from 'commander';
import { DEVICES, type Device } from '../device/gpu.js';
import { gpuLayerCount, loadModel } from '../load.js';
import type { Model } from '../model.js';
import { positiveInteger } from '../options.js';
import { anyOf, numberThat } from './flag-values.js';
import type { StageBar } from './stage-bar.js';

/** What `ask` and `chat` let a user say about the model. */
export interface ModelFlags {
  system?: string;
  context?: number;
  threads?: number;
  device?: Device;
  gpuLayers?: number;
  visionDevice?: Device;
}

export function addModelFlags(command: Command): Command {
  return command
    .option(
      '--system <text>',
      "the system sentence, '' for none (default: the one the model was trained with)",
    )
    .option(
      '--context <positions>',
      "room for question and answer together (default: the model's own, at most 4096)",
      numberThat(positiveInteger),
    )
    .option(
      '--threads <count>',
      'CPU threads (default: one for each performance core that may be used, at most 16)',
      numberThat(positiveInteger),
    )
    .option(
      '--device <name>',
      `what computes: ${DEVICES.join(', ')} (default: auto, a GPU if one can be used)`,
      anyOf(DEVICES),
    )
    .option(
      '--gpu-layers <count>',
      'layers of the language model on the GPU: 0 for none, as many as there are or more for all (default: as many as fit)',
      numberThat(gpuLayerCount),
    )
    .option('--vision-device <name>', 'what encodes pictures (default: as --device)', anyOf(DEVICES));
}

/** Loads a model while the bar shows how far that is. */
export async function openModel(
  file: string,
  { context, threads, device, gpuLayers, visionDevice }: ModelFlags,
  bar: StageBar,
  signal: AbortSignal,
): Promise<Model> {
  bar.show('Loading the model', 0);
  try {
    return await loadModel(file, {
      contextSize: context,
      threads,
      device,
      gpuLayers,
      visionDevice,
      signal,
      onProgress: (fraction) => bar.show('Loading the model', fraction),
    });
  } finally {
    bar.clear();
  }
}
