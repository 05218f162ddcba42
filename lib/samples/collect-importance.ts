import { basename } from 'node:path';
import { writeImportance } from '../convert/importance-file.js';
import { checkOutput, OutputFile } from '../convert/output-file.js';
import { checkSeparate } from '../convert/separate-output.js';
import type { Engine } from '../engine.js';
import type { NativeImageMode, NativeModule } from '../native.js';
import { inspectModel, openSampleModel, type RunOptions } from './sample-model.js';
import { PASSAGE_LENGTH, type Sample, type SampleFiles, Samples } from './samples.js';

export interface CollectOptions extends SampleFiles, RunOptions {
  /** Told a sentence where something was left out. */
  onNote(note: string): void;
}

/**
 * Runs the model at `path` on samples and writes what met its weights as an importance file, which appears when it is complete. Rejects with
 * `signal.reason` or an XgenmmError: ERR_XGENMM_INVALID_ARGUMENT for samples that cannot be used, ERR_XGENMM_MODEL_UNSUPPORTED for pictures
 * that the model cannot see, ERR_XGENMM_WRITE_FAILED, and what `loadModel()` and reading a picture throw.
 */
export async function collectImportance(
  addon: NativeModule,
  path: string,
  output: string,
  { text, images, onNote, ...options }: CollectOptions,
): Promise<void> {
  const { onProgress, signal } = options;
  const samples = await Samples.open({ text, images });
  const inspection = inspectModel(addon, path);
  await checkSeparate(output, [path, ...samples.files]);
  // First of all, so that hours of work are not lost for a folder that cannot be written to.
  const file = await OutputFile.create(await checkOutput(output, 0));
  try {
    const engine = await openSampleModel(addon, path, inspection, options, true);
    try {
      let chunkCount = 0;
      for await (const sample of samples.for([{ engine, path }], onNote).read(engine, signal)) {
        onProgress('Collecting', sample.before);
        await run(engine, sample, signal);
        chunkCount++;
      }
      const datasets = [...(text ?? []), ...(images ?? [])].map((name) => basename(name));
      await writeImportance(file, engine.importance(), { datasets, chunkCount, chunkSize: PASSAGE_LENGTH });
    } finally {
      await engine.dispose();
    }
  } catch (error) {
    await file.discard();
    throw error;
  }
}

async function run(engine: Engine, sample: Sample, signal: AbortSignal): Promise<void> {
  const images: Float32Array[] = [];
  if (sample.kind === 'picture') {
    const { data, width, height } = sample.pixels;
    const mode = engine.info.imageMode as NativeImageMode;
    images.push((await engine.encodeImage(data, width, height, mode, signal)).embeddings);
  }
  // All rows: the head's importance is that of every position.
  await engine.computeLogits({ tokens: sample.tokens, images }, 0, false, signal);
}
