import { availableParallelism } from 'node:os';
import { Caller } from './caller.js';
import { addonFor } from './device/addon-for.js';
import { DEVICES, type Device, isGpu } from './device/gpu.js';
import { Engine } from './engine.js';
import type { ImageMode } from './image.js';
import { Model } from './model.js';
import { modelPath } from './model-path.js';
import type { NativeAddon, NativeLoadOptions } from './native.js';
import {
  abortSignal,
  callback,
  checkOptions,
  integerBetween,
  invalid,
  oneOf,
  type Rules,
} from './options.js';

/**
 * A path or file URL of a GGUF file with everything, or one for the language model and one for the vision part. `demo` is the toy model
 * that comes with the package and knows drawn scenes only. `hf:owner/name` is what the last `xgen-mm pull` of that repository left,
 * `hf:owner/name:q8_0` the last of that type; nothing is ever downloaded.
 */
export type ModelSource =
  | string
  | URL
  | {
      /** The file with the language model. */
      text: string | URL;
      /** The file with the vision part. */
      vision: string | URL;
    };

/** How a model is loaded. */
export interface LoadOptions {
  /**
   * What computes; default `'auto'`: a GPU if there is an addon that finds one, else the CPU. A named one is used or loading rejects with
   * ERR_XGENMM_DEVICE_UNAVAILABLE and the reason.
   */
  device?: Device | undefined;
  /**
   * Layers of the language model on the GPU, the last ones first; 0 for none, as many as there are or more for all. Default: as many as
   * its memory holds.
   */
  gpuLayers?: number | undefined;
  /** Where pictures are encoded; default `'auto'`: as `device` says, as far as memory allows. At most one kind of GPU takes part. */
  visionDevice?: Device | undefined;
  /**
   * CPU threads, at most four for each processor; default: one for each performance core that the process may use, at most 16 and no more
   * than a container grants; where these are fewer than four, one for each core.
   */
  threads?: number | undefined;
  /** Positions of prompt and answer together; default: the model's own context length, at most 4096. */
  contextSize?: number | undefined;
  /** Sequences whose keys and values are kept at the same time; memory for all is reserved at load. Default 2. */
  maxSequences?: number | undefined;
  /** How keys and values are kept; default `'auto'`: f32 for an F32 file, else f16. */
  kvType?: 'auto' | 'f32' | 'f16' | 'q8_0' | undefined;
  /** Default mode of pictures; default: the file's. */
  imageMode?: ImageMode | undefined;
  /** Overrides how the file says its tokenizer treats spaces. */
  tokenizerStyle?: 'slow' | 'fast' | undefined;
  /** Keys that a query sees, itself included, in place of the file's; 0: all. */
  slidingWindow?: number | undefined;
  /** Called with the fraction loaded, 0 to 1. */
  onProgress?: ((fraction: number) => void) | undefined;
  /** Stops loading, which rejects with `signal.reason`. */
  signal?: AbortSignal | undefined;
}

/** The native core's own limits. */
const MAX_POSITIONS = 2 ** 20;
/** More than a model has stand for all that it has. */
export const gpuLayerCount = integerBetween(0, 2 ** 20);

const LOAD_RULES: Rules<LoadOptions> = {
  device: oneOf(...DEVICES),
  gpuLayers: gpuLayerCount,
  visionDevice: oneOf(...DEVICES),
  // More only fight for the processors, and ggml's threads spin while they wait.
  threads: integerBetween(1, 4 * availableParallelism()),
  contextSize: integerBetween(1, MAX_POSITIONS),
  maxSequences: integerBetween(1, 256),
  kvType: oneOf('auto', 'f32', 'f16', 'q8_0'),
  imageMode: oneOf<ImageMode>('anyres', 'squash', 'pad'),
  tokenizerStyle: oneOf('slow', 'fast'),
  slidingWindow: integerBetween(0, MAX_POSITIONS),
  onProgress: callback<(fraction: number) => void>(),
  signal: abortSignal,
};

/**
 * Loads a model; dispose it when done (`await using` does). `loadModel('demo')` needs no file of yours.
 * Rejects with `signal.reason` or an XgenmmError: ERR_XGENMM_INVALID_ARGUMENT, ERR_XGENMM_FILE_NOT_FOUND, ERR_XGENMM_MODEL_INVALID,
 * ERR_XGENMM_MODEL_UNSUPPORTED, ERR_XGENMM_DEVICE_UNAVAILABLE, ERR_XGENMM_OUT_OF_MEMORY, ERR_XGENMM_ADDON_UNAVAILABLE.
 */
export function loadModel(source: ModelSource, options?: LoadOptions): Promise<Model> {
  return new Caller(loadModel).run(async () => {
    const request = parseLoad(source, options);
    const { device, visionDevice } = request.native;
    const addon = await addonFor(device, visionDevice, request.options.signal);
    return openModel(addon, request);
  });
}

/**
 * {@link loadModel} over a given addon.
 * @internal
 */
export async function createModel(
  addon: NativeAddon,
  source: ModelSource,
  options?: LoadOptions,
): Promise<Model> {
  return openModel(addon, parseLoad(source, options));
}

/**
 * The engine that {@link loadModel} makes a model of (`new Model(engine, options.imageMode)`), for looking into it.
 * `importance`: see {@link Engine.importance}.
 * @internal
 */
export async function openEngine(
  addon: NativeAddon,
  source: ModelSource,
  options: LoadOptions | undefined,
  importance: boolean,
): Promise<Engine> {
  return loadEngine(addon, parseLoad(source, options, importance));
}

interface LoadRequest {
  native: NativeLoadOptions;
  options: LoadOptions;
}

async function openModel(addon: NativeAddon, request: LoadRequest): Promise<Model> {
  return new Model(await loadEngine(addon, request), request.options.imageMode);
}

function loadEngine(addon: NativeAddon, { native, options }: LoadRequest): Promise<Engine> {
  return Engine.load(addon, native, options.onProgress, options.signal);
}

function parseLoad(source: ModelSource, options: LoadOptions | undefined, importance = false): LoadRequest {
  const checked = checkOptions(options, LOAD_RULES, 'loadModel()');
  const { device = 'auto', gpuLayers = -1 } = checked;
  const { visionDevice = device === 'cpu' ? 'cpu' : 'auto' } = checked;
  if (isGpu(device) && isGpu(visionDevice) && device !== visionDevice)
    throw invalid('visionDevice', `'auto', 'cpu' or '${device}' beside device '${device}'`, visionDevice);
  if (device === 'cpu' && gpuLayers > 0) throw invalid('gpuLayers', "0 beside device 'cpu'", gpuLayers);
  const native: NativeLoadOptions = {
    ...parseSource(source),
    device,
    gpuLayers,
    visionDevice,
    threads: checked.threads ?? 0,
    contextSize: checked.contextSize ?? 0,
    maxSequences: checked.maxSequences ?? 2,
    kvType: checked.kvType ?? 'auto',
    tokenizerStyle: checked.tokenizerStyle ?? '',
    slidingWindow: checked.slidingWindow ?? -1,
    importance,
  };
  return { native, options: checked };
}

function parseSource(source: ModelSource): { textPath: string; visionPath?: string } {
  if (typeof source === 'string' || source instanceof URL)
    return { textPath: modelPath(source, 'the model') };
  if (typeof source !== 'object' || source === null) {
    throw invalid('the model', 'a path, a file URL or { text, vision }', source);
  }
  const { text, vision, ...rest } = source;
  checkOptions(rest, {}, 'the model { text, vision }');
  return { textPath: modelPath(text, 'the text part'), visionPath: modelPath(vision, 'the vision part') };
}
