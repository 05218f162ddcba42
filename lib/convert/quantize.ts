import { open } from 'node:fs/promises';
import { loadAddon } from '../addon.js';
import { Caller } from '../caller.js';
import { translated } from '../engine.js';
import { XgenmmError } from '../errors.js';
import { modelPath } from '../model-path.js';
import type { NativeTensorType } from '../native.js';
import type { NativeListing } from '../native-file.js';
import {
  abortSignal,
  callback,
  checkOptions,
  describe,
  filePath,
  invalid,
  location,
  oneOf,
  type Rules,
} from '../options.js';
import { CHUNK_ELEMENTS, type Chunk, cutBytes, cutRows, DTYPE_SIZE, type Dtype } from './chunk.js';
import { ALIGNMENT, GGML_TYPE, layOut, type TensorInfo } from './gguf-header.js';
import { describeImportance, type Importance, loadImportance } from './importance.js';
import type { InputFile } from './input-file.js';
import { QUANTIZATION_VERSION } from './metadata.js';
import {
  chooseTypes,
  FILE_TYPE,
  type Mixture,
  type PartTypes,
  partOf,
  storedType,
  TEXT_TYPES,
  type TextType,
  VISION_TYPES,
  type VisionType,
} from './mixture.js';
import { checkSeparate } from './separate-output.js';
import { StoredMetadata } from './stored-metadata.js';
import { groupTensors, type TensorGroup } from './tensor-group.js';
import { type WriteOptions, writeGguf } from './write-gguf.js';

export interface QuantizeOptions extends WriteOptions {
  /** What the language model's matrices are stored in; without it they stay as they are. */
  type?: TextType | undefined;
  /** What the vision tower's are stored in. Default: `'q8_0'` if `type` is quantised, else `type`. */
  vision?: VisionType | undefined;
  /** What the resampler's are stored in. Default: as the vision tower's. */
  resampler?: VisionType | undefined;
  /** An importance matrix in llama.cpp's GGUF format, which guides the quantisation. */
  imatrix?: string | URL | undefined;
}

export interface QuantizeResult {
  /** Absolute path of the file. */
  path: string;
  types: PartTypes;
  tensors: TensorGroup[];
  /** Size of the file. */
  bytes: number;
}

const RULES: Rules<QuantizeOptions> = {
  type: oneOf<TextType>(...TEXT_TYPES),
  vision: oneOf<VisionType>(...VISION_TYPES),
  resampler: oneOf<VisionType>(...VISION_TYPES),
  imatrix: location,
  onProgress: callback(),
  onNote: callback(),
  signal: abortSignal,
};

/**
 * Writes a GGUF file's model in other types: a file of ours, a vision part, or a plain phi3 file. Its matrices must be f32, f16 or bf16,
 * or in the wanted type already; everything else is copied. The file appears under its name when it is complete, or not at all.
 * Rejects with `signal.reason` or an XgenmmError: ERR_XGENMM_INVALID_ARGUMENT, ERR_XGENMM_FILE_NOT_FOUND,
 * ERR_XGENMM_MODEL_INVALID, ERR_XGENMM_MODEL_UNSUPPORTED, ERR_XGENMM_WRITE_FAILED, ERR_XGENMM_ADDON_UNAVAILABLE.
 */
export function quantize(
  input: string | URL,
  output: string | URL,
  options?: QuantizeOptions,
): Promise<QuantizeResult> {
  return new Caller(quantize).run(async () => {
    const checked = checkOptions(options, RULES, 'quantize()');
    return quantizeFile(modelPath(input, 'the model'), filePath(output, 'the output'), checked);
  });
}

async function quantizeFile(path: string, output: string, options: QuantizeOptions): Promise<QuantizeResult> {
  const addon = loadAddon();
  const listing = translated(() => addon.listFile(path));
  const types = checkTypes(options, listing);
  const imatrix = options.imatrix === undefined ? undefined : filePath(options.imatrix, 'imatrix');
  await checkSeparate(output, [path, imatrix]);
  const file = await open(path, 'r');
  try {
    const input: InputFile = { name: path, file };
    const metadata = await StoredMetadata.read(input, listing);
    checkModel(path, metadata);
    const names = new Set(listing.tensors.map(({ name }) => name));
    const mixture: Mixture = {
      ...types,
      layers: [...names].filter((name) => /^blk\.\d+\.ffn_down\.weight$/.test(name)).length,
      tied: !names.has('output.weight'),
      guided: imatrix !== undefined,
    };
    const tensors = listing.tensors.map((tensor) => describeTensor(tensor, mixture));
    const fileType = names.has('token_embd.weight') ? types.text : types.vision;
    metadata.replaceAlignment(ALIGNMENT);
    metadata.set('general.quantization_version', { type: 'u32', value: QUANTIZATION_VERSION });
    if (fileType !== undefined)
      metadata.set('general.file_type', { type: 'u32', value: FILE_TYPE[fileType] });
    let importance: Importance | undefined;
    if (imatrix !== undefined) {
      const recoded = tensors.filter(({ type }, index) => type !== listing.tensors[index]?.type);
      importance = await loadImportance(imatrix, recoded, options.onNote);
      for (const [key, value] of describeImportance(imatrix, importance)) metadata.set(key, value);
    }
    const layout = layOut(metadata.values, tensors);
    const chunks = cutAll(input, listing, tensors, layout.positions, importance);
    const written = await writeGguf(output, layout, chunks, options);
    return { path: written, types, tensors: groupTensors(tensors), bytes: layout.size };
  } finally {
    await file.close();
  }
}

function checkTypes({ type, vision, resampler }: QuantizeOptions, { tensors }: NativeListing): PartTypes {
  if (type === undefined && vision === undefined && resampler === undefined) {
    throw new XgenmmError(
      'ERR_XGENMM_INVALID_ARGUMENT',
      'Expected a type for the text or for the vision part, received none',
    );
  }
  const named = vision ?? resampler;
  if (named !== undefined && !tensors.some(({ name }) => partOf(name) !== 'text')) {
    throw invalid('a vision part', 'a file that has one', `${named} for a text-only file`);
  }
  return chooseTypes(type, vision, resampler);
}

function checkModel(path: string, metadata: StoredMetadata): void {
  const architecture = metadata.text('general.architecture');
  if (architecture !== 'xgenmm' && architecture !== 'phi3') {
    throw new XgenmmError(
      'ERR_XGENMM_MODEL_UNSUPPORTED',
      `Expected a model of architecture xgenmm or phi3 in ${path}, received ${architecture === undefined ? 'none' : describe(architecture)}`,
    );
  }
  if (metadata.values.has('split.count')) {
    throw new XgenmmError(
      'ERR_XGENMM_MODEL_UNSUPPORTED',
      `Expected a whole model in ${path}, received a part of one that is split: merge its files first`,
    );
  }
}

function describeTensor(
  { name, shape, type }: NativeListing['tensors'][number],
  mixture: Mixture,
): TensorInfo {
  const wanted = storedType(name, shape, mixture) ?? type;
  if (!isKnown(wanted)) {
    throw new XgenmmError(
      'ERR_XGENMM_MODEL_UNSUPPORTED',
      `Expected a type among ${Object.keys(GGML_TYPE).join(', ')} for the tensor ${describe(name)}, received ${type}`,
    );
  }
  if (wanted !== type && !isDtype(type)) {
    throw new XgenmmError(
      'ERR_XGENMM_INVALID_ARGUMENT',
      `Expected f32, f16 or bf16 for the tensor ${describe(name)}, which ${wanted} is to be made of, received ${type}: quantise from the f16 or bf16 file`,
    );
  }
  if (wanted !== type && (shape[0] as number) > CHUNK_ELEMENTS) {
    throw new XgenmmError(
      'ERR_XGENMM_MODEL_INVALID',
      `Expected rows of at most ${CHUNK_ELEMENTS} values in the tensor ${describe(name)}, received ${shape[0]}`,
    );
  }
  return { name, shape, type: wanted };
}

function* cutAll(
  input: InputFile,
  listing: NativeListing,
  tensors: readonly TensorInfo[],
  positions: readonly number[],
  importance: Importance | undefined,
): Generator<Chunk> {
  for (const [index, { name, shape, type: dtype, position: from, bytes }] of listing.tensors.entries()) {
    const { type } = tensors[index] as TensorInfo;
    const to = positions[index] as number;
    if (type === dtype) {
      yield* cutBytes(name, input, from, to, bytes);
    } else {
      const rowLength = shape[0] as number;
      const count = bytes / DTYPE_SIZE[dtype as Dtype] / rowLength;
      const recoding = { dtype: dtype as Dtype, sourceLength: rowLength, rowLength, type };
      yield* cutRows({
        name,
        input,
        from,
        to,
        count,
        recoding: { ...recoding, importance: importance?.get(name) },
      });
    }
  }
}

function isKnown(type: string): type is NativeTensorType {
  return Object.hasOwn(GGML_TYPE, type);
}

function isDtype(type: string): type is Dtype {
  return Object.hasOwn(DTYPE_SIZE, type);
}
