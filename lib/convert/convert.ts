import { realpath } from 'node:fs/promises';
import { Caller } from '../caller.js';
import { XgenmmError } from '../errors.js';
import { abortSignal, checkOptions, filePath, oneOf, type Rules, rule } from '../options.js';
import { CheckpointFolder } from './checkpoint-folder.js';
import { parseConfig } from './config.js';
import { type GgmlType, type Layout, layOut, type TensorInfo } from './gguf-header.js';
import { describeModel } from './metadata.js';
import { OutputFile } from './output-file.js';
import { Weights } from './safetensors.js';
import { TensorStream } from './tensor-stream.js';
import { checkTensors, planTensors, type TensorPlan } from './tensors.js';
import { readTokenizer } from './tokenizer.js';
import { findVariant, VARIANTS, type Variant } from './variant.js';

export interface ConvertOptions {
  /** What matrices are stored in; everything else is F32. Default `'f16'`. */
  type?: GgmlType | undefined;
  /** Which of the four models this is; default: what the repository's or folder's name says, else `'instruct-interleave'`. */
  variant?: Variant | undefined;
  /** Called with the bytes written so far and the bytes of the whole file. */
  onProgress?: ((done: number, total: number) => void) | undefined;
  /** Called with a sentence where something had to be assumed. */
  onNote?: ((note: string) => void) | undefined;
  /** Stops the conversion, which rejects with `signal.reason` and leaves no file. */
  signal?: AbortSignal | undefined;
}

export interface ConvertResult {
  /** Absolute path of the file. */
  path: string;
  variant: Variant;
  type: GgmlType;
  tensorCount: number;
  /** Size of the file. */
  bytes: number;
}

const isFunction = (value: unknown) => typeof value === 'function';

const RULES: Rules<ConvertOptions> = {
  type: oneOf<GgmlType>('f32', 'f16', 'bf16'),
  variant: oneOf<Variant>(...VARIANTS),
  onProgress: rule<(done: number, total: number) => void>('a function', isFunction),
  onNote: rule<(note: string) => void>('a function', isFunction),
  signal: abortSignal,
};

/**
 * Writes a checkpoint folder in the official Hugging Face layout as one GGUF file (docs/gguf-format.md), tensor by tensor:
 * memory stays far below 1 GB whatever the size. The file appears under its name when it is complete, or not at all.
 * Rejects with `signal.reason` or an XgenmmError: ERR_XGENMM_INVALID_ARGUMENT, ERR_XGENMM_FILE_NOT_FOUND,
 * ERR_XGENMM_MODEL_INVALID, ERR_XGENMM_MODEL_UNSUPPORTED, ERR_XGENMM_WRITE_FAILED.
 */
export function convert(
  folder: string | URL,
  output: string | URL,
  options?: ConvertOptions,
): Promise<ConvertResult> {
  return new Caller(convert).run(async () => {
    const checked = checkOptions(options, RULES, 'convert()');
    const source = await CheckpointFolder.open(filePath(folder, 'the checkpoint folder'));
    return convertFolder(source, filePath(output, 'the output'), checked);
  });
}

async function convertFolder(
  folder: CheckpointFolder,
  output: string,
  options: ConvertOptions,
): Promise<ConvertResult> {
  const { type = 'f16', signal, onProgress = () => {}, onNote = () => {} } = options;
  const config = parseConfig(await folder.readJson('config.json'));
  const variant = options.variant ?? guessVariant([config.name, folder.name], onNote);
  const tokenizer = await readTokenizer(folder, config.text.tokenizerLength, onNote);
  const plans = planTensors(config);
  const metadata = describeModel(config.name ?? folder.name, variant, type, config, tokenizer);
  const layout = layOut(
    metadata,
    plans.map((plan) => describeTensor(plan, type)),
  );

  const weights = await Weights.open(folder);
  try {
    checkTensors(plans, weights.tensors);
    await checkOutput(folder, output);
    signal?.throwIfAborted();
    const file = await OutputFile.create(output);
    try {
      await writeAll(file, layout, plans, type, weights, onProgress, signal);
      await file.commit(layout.size);
    } catch (error) {
      await file.discard();
      throw error;
    }
    return { path: file.path, variant, type, tensorCount: plans.length, bytes: layout.size };
  } finally {
    await weights.close();
  }
}

async function writeAll(
  file: OutputFile,
  { header, positions, size }: Layout,
  plans: TensorPlan[],
  type: GgmlType,
  weights: Weights,
  onProgress: (done: number, total: number) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  const stream = new TensorStream(weights.tensors);
  await file.write(header, 0);
  for (const [index, plan] of plans.entries()) {
    let position = positions[index] as number;
    for await (const chunk of stream.read(plan, storedType(plan, type))) {
      signal?.throwIfAborted();
      await file.write(chunk, position);
      position += chunk.length;
      onProgress(position, size);
    }
  }
  signal?.throwIfAborted();
  onProgress(size, size);
}

function describeTensor(plan: TensorPlan, type: GgmlType): TensorInfo {
  return { name: plan.name, shape: plan.shape.toReversed(), type: storedType(plan, type) };
}

function storedType(plan: TensorPlan, type: GgmlType): GgmlType {
  return plan.matrix ? type : 'f32';
}

function guessVariant(names: (string | undefined)[], onNote: (note: string) => void): Variant {
  for (const name of names) {
    const variant = name === undefined ? undefined : findVariant(name);
    if (variant !== undefined) return variant;
  }
  onNote(
    'Neither config.json nor the name of the folder says which variant this is: instruct-interleave is assumed.',
  );
  return 'instruct-interleave';
}

async function checkOutput(folder: CheckpointFolder, output: string): Promise<void> {
  const path = await realpath(output).catch(() => undefined);
  if (path !== undefined && folder.used.has(path)) {
    throw new XgenmmError(
      'ERR_XGENMM_INVALID_ARGUMENT',
      `Expected an output beside the checkpoint, received ${output}, which is one of its files`,
    );
  }
}
