import { type Engine, translated } from '../engine.js';
import { XgenmmError } from '../errors.js';
import { openEngine } from '../load.js';
import type { NativeModule } from '../native.js';
import type { NativeInspection } from '../native-file.js';
import { CONTEXT_SIZE } from './samples.js';

/** How a model that is run on samples is loaded. */
export interface RunOptions {
  /** undefined: the engine's choice. */
  threads?: number | undefined;
  /** Told how far which stage is, 0 to 1. */
  onProgress(stage: string, fraction: number): void;
  signal: AbortSignal;
}

export type TextInspection = NativeInspection & { text: NonNullable<NativeInspection['text']> };

/** What is in a model file. Throws what `inspectFile` throws, and ERR_XGENMM_MODEL_UNSUPPORTED if there is no language model. */
export function inspectModel(addon: NativeModule, path: string): TextInspection {
  const inspection = translated(() => addon.inspectFile(path, 0));
  const { text } = inspection;
  if (text === undefined) {
    throw new XgenmmError(
      'ERR_XGENMM_MODEL_UNSUPPORTED',
      `Expected a file with a language model, received ${path}, which holds just the vision part`,
    );
  }
  return { ...inspection, text };
}

/** Loads a model for one sample at a time. Rejects as `loadModel()` does. */
export function openSampleModel(
  addon: NativeModule,
  path: string,
  { text }: TextInspection,
  { threads, onProgress, signal }: RunOptions,
  importance: boolean,
): Promise<Engine> {
  const options = {
    // What models are compared by, and what a matrix is made of, are not to depend on a GPU.
    device: 'cpu' as const,
    threads,
    contextSize: Math.min(CONTEXT_SIZE, text.contextLength),
    maxSequences: 1,
    onProgress: (fraction: number) => onProgress(`Loading ${path}`, fraction),
    signal,
  };
  return openEngine(addon, path, options, importance);
}
