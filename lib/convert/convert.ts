import { Caller } from '../caller.js';
import {
  abortSignal,
  boolean,
  callback,
  checkOptions,
  filePath,
  location,
  oneOf,
  type Rules,
} from '../options.js';
import { cutTensor } from './checkpoint-chunks.js';
import { CheckpointFolder } from './checkpoint-folder.js';
import type { Chunk } from './chunk.js';
import { type ModelConfig, parseConfig } from './config.js';
import { readGenerationDefaults } from './generation.js';
import { type Layout, layOut, type TensorInfo, type Value } from './gguf-header.js';
import { describeImportance, type Importance, loadImportance } from './importance.js';
import { describeModel, describeVisionPart, type Identity } from './metadata.js';
import {
  chooseTypes,
  FILE_TYPE,
  type PartTypes,
  partOf,
  storeTensors,
  TEXT_TYPES,
  type TextType,
  VISION_TYPES,
  type VisionType,
} from './mixture.js';
import { checkOutput } from './output-file.js';
import { type StoredTensor, Weights } from './safetensors.js';
import { checkSeparate } from './separate-output.js';
import { groupTensors, type TensorGroup } from './tensor-group.js';
import { checkTensors, planTensors, type TensorPlan } from './tensors.js';
import { readTokenizer } from './tokenizer.js';
import { findVariant, VARIANTS, type Variant } from './variant.js';
import { type WriteOptions, writeGguf } from './write-gguf.js';

export interface ConvertOptions extends WriteOptions {
  /** What the language model's matrices are stored in. Default `'f16'`. */
  type?: TextType | undefined;
  /** What the vision tower's are stored in. Default: `'q8_0'` if `type` is quantised, else `type`. */
  vision?: VisionType | undefined;
  /** What the resampler's are stored in. Default: as the vision tower's. */
  resampler?: VisionType | undefined;
  /** `'vision'`: the vision tower and the resampler alone, for `loadModel({ text, vision })`. Default `'all'`. */
  part?: 'all' | 'vision' | undefined;
  /** An importance matrix in llama.cpp's GGUF format, which guides the quantisation. */
  imatrix?: string | URL | undefined;
  /** Which of the four models this is; default: what the repository's or folder's name says, else `'instruct-interleave'`. */
  variant?: Variant | undefined;
  /** Reads and checks everything but the weights' values, and writes nothing. Default false. */
  dryRun?: boolean | undefined;
}

export interface ConvertResult {
  /** Absolute path of the file. */
  path: string;
  variant: Variant;
  types: PartTypes;
  tensors: TensorGroup[];
  /** Size of the file. */
  bytes: number;
}

const RULES: Rules<ConvertOptions> = {
  type: oneOf<TextType>(...TEXT_TYPES),
  vision: oneOf<VisionType>(...VISION_TYPES),
  resampler: oneOf<VisionType>(...VISION_TYPES),
  part: oneOf<'all' | 'vision'>('all', 'vision'),
  imatrix: location,
  variant: oneOf<Variant>(...VARIANTS),
  dryRun: boolean,
  onProgress: callback(),
  onNote: callback(),
  signal: abortSignal,
};

/**
 * Writes a checkpoint folder in the official Hugging Face layout as one GGUF file (docs/gguf-format.md), chunk by chunk:
 * memory stays far below 1 GB whatever the size. The file appears under its name when it is complete, or not at all.
 * Rejects with `signal.reason` or an XgenmmError: ERR_XGENMM_INVALID_ARGUMENT, ERR_XGENMM_FILE_NOT_FOUND,
 * ERR_XGENMM_MODEL_INVALID, ERR_XGENMM_MODEL_UNSUPPORTED, ERR_XGENMM_WRITE_FAILED, ERR_XGENMM_ADDON_UNAVAILABLE.
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
  const { type = 'f16', part = 'all', dryRun, onNote = () => {}, signal } = options;
  const imatrix = options.imatrix === undefined ? undefined : filePath(options.imatrix, 'imatrix');
  const config = parseConfig(await folder.readJson('config.json'));
  const variant = options.variant ?? guessVariant([config.name, folder.name], onNote);
  const types = chooseTypes(type, options.vision, options.resampler);
  if (part === 'vision') types.text = undefined;
  const fileType = FILE_TYPE[types.text ?? (types.vision as VisionType)];
  const identity: Identity = { name: config.name ?? folder.name, variant, fileType };
  const metadata = await describe(folder, identity, config, part, onNote);
  const all = planTensors(config);
  const plans = part === 'all' ? all : all.filter(({ name }) => partOf(name) !== 'text');
  const tensors = storeTensors(plans, types, config.text.layers, imatrix !== undefined);
  let importance: Importance | undefined;
  if (imatrix !== undefined) {
    importance = await loadImportance(imatrix, tensors, onNote);
    for (const [key, value] of describeImportance(imatrix, importance)) metadata.set(key, value);
  }
  const layout = layOut(metadata, tensors);

  const weights = await Weights.open(folder);
  try {
    checkTensors(all, weights.tensors);
    await checkSeparate(output, [...folder.used, imatrix]);
    signal?.throwIfAborted();
    const path = dryRun
      ? await checkOutput(output, layout.size)
      : await writeGguf(output, layout, cutAll(plans, tensors, layout, weights.tensors, importance), options);
    return { path, variant, types, tensors: groupTensors(tensors), bytes: layout.size };
  } finally {
    await weights.close();
  }
}

async function describe(
  folder: CheckpointFolder,
  identity: Identity,
  config: ModelConfig,
  part: 'all' | 'vision',
  onNote: (note: string) => void,
): Promise<Map<string, Value>> {
  if (part === 'vision') return describeVisionPart(identity, config);
  const tokenizer = await readTokenizer(folder, config.text.tokenizerLength, onNote);
  const generation = await readGenerationDefaults(folder, identity.variant);
  return describeModel(identity, config, tokenizer, generation);
}

function* cutAll(
  plans: readonly TensorPlan[],
  tensors: readonly TensorInfo[],
  { positions }: Layout,
  stored: Map<string, StoredTensor>,
  importance: Importance | undefined,
): Generator<Chunk> {
  for (const [index, plan] of plans.entries()) {
    const { type } = tensors[index] as TensorInfo;
    yield* cutTensor(plan, type, positions[index] as number, stored, importance?.get(plan.name));
  }
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
