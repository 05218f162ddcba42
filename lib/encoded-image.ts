import { orAborted } from './abort.js';
import type { Engine } from './engine.js';
import { XgenmmError } from './errors.js';
import { fetchImage } from './fetch-image.js';
import {
  decodeImage,
  type ImageInput,
  type ImageMode,
  type ImageOptions,
  isSharp,
  measureImage,
} from './image.js';
import { remoteUrl } from './image-source.js';
import { invalid } from './options.js';

/** A picture as the language model sees it: plain data, usable in any prompt of a model with the same weights. */
export interface EncodedImage {
  /** Row-major `[tokenCount, width]`. */
  embeddings: Float32Array;
  /** Positions that it takes in a prompt. */
  tokenCount: number;
  /** Width of one embedding: the language model's. */
  width: number;
  /** The crops, beside the whole picture as the first tile; a single-tile mode has none: 0 columns, 0 rows. */
  tiles: {
    /** Crops side by side. */
    columns: number;
    /** Crops one above the other. */
    rows: number;
  };
  /** How it was tiled. */
  mode: ImageMode;
}

/** Milliseconds spent on pictures. */
export interface ImageTimings {
  /** File to RGB; fetching it is not counted. */
  decode: number;
  /** RGB to tiles. */
  preprocess: number;
  /** Vision tower. */
  vision: number;
  /** Resampler. */
  resample: number;
}

/** Whether `value` means to be an {@link EncodedImage}. */
export function isEncodedImage(value: unknown): value is EncodedImage {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, 'embeddings');
}

/**
 * A picture that is here: what lies at an http(s) URL is fetched. `mode`: the model's. Throws ERR_XGENMM_IMAGE_FETCH, and
 * ERR_XGENMM_MODEL_UNSUPPORTED for a text-only model before it fetches anything.
 */
export async function localImage(
  image: ImageInput,
  mode: ImageMode | undefined,
  signal?: AbortSignal,
): Promise<ImageInput> {
  const url = remoteUrl(image, 'image');
  if (url === undefined) return image;
  effectiveMode({}, mode);
  return fetchImage(url, signal);
}

/**
 * Decodes and encodes a local picture, or checks one that is encoded already. `mode`: the model's; `onProgress`: the fraction encoded.
 * Throws what {@link decodeImage} throws, and ERR_XGENMM_MODEL_UNSUPPORTED for a text-only model.
 */
export async function encodeImage(
  engine: Engine,
  image: ImageInput,
  options: ImageOptions,
  mode: ImageMode | undefined,
  signal?: AbortSignal,
  onProgress?: (fraction: number) => void,
): Promise<{ image: EncodedImage; timings: ImageTimings }> {
  if (isEncodedImage(image)) {
    checkEncodedImage(image, options, engine.info.width);
    return { image, timings: { decode: 0, preprocess: 0, vision: 0, resample: 0 } };
  }
  const chosen = effectiveMode(options, mode);
  const start = performance.now();
  const { data, width, height } = await orAborted(decodeImage(image, options, signal), signal);
  const decode = performance.now() - start;
  const encoded = await engine.encodeImage(data, width, height, chosen, signal, onProgress);
  return {
    image: {
      embeddings: encoded.embeddings,
      tokenCount: encoded.tokenCount,
      width: encoded.width,
      tiles: { columns: encoded.columns, rows: encoded.rows },
      mode: chosen,
    },
    timings: {
      decode,
      preprocess: encoded.preprocessMs,
      vision: encoded.visionMs,
      resample: encoded.resampleMs,
    },
  };
}

/**
 * Tokens that a picture takes, without encoding it; of a sharp instance, which only running it would measure, the least that it can
 * take. Throws as {@link encodeImage} does.
 */
export async function leastImageTokens(
  engine: Engine,
  image: ImageInput,
  options: ImageOptions,
  mode: ImageMode | undefined,
  signal?: AbortSignal,
): Promise<number> {
  if (isSharp(image)) return engine.countImageTokens(1, 1, effectiveMode(options, mode));
  return countImageTokens(engine, image, options, mode, signal);
}

/** Tokens that a picture takes, without encoding it. Throws as {@link encodeImage} does. */
export async function countImageTokens(
  engine: Engine,
  image: ImageInput,
  options: ImageOptions,
  mode: ImageMode | undefined,
  signal?: AbortSignal,
): Promise<number> {
  if (isEncodedImage(image)) {
    checkEncodedImage(image, options, engine.info.width);
    return image.tokenCount;
  }
  const chosen = effectiveMode(options, mode);
  const { width, height } = await measureImage(image, options, signal);
  return engine.countImageTokens(width, height, chosen);
}

function effectiveMode(options: ImageOptions, mode: ImageMode | undefined): ImageMode {
  if (mode === undefined) {
    throw new XgenmmError(
      'ERR_XGENMM_MODEL_UNSUPPORTED',
      'Expected a model with a vision part for a picture, received a text-only model',
    );
  }
  return options.mode ?? mode;
}

function checkEncodedImage(image: EncodedImage, options: ImageOptions, width: number): void {
  const [option] = Object.keys(options);
  if (option !== undefined) {
    throw invalid(
      option,
      'nothing (an EncodedImage is encoded already)',
      options[option as keyof ImageOptions],
    );
  }
  if (!(image.embeddings instanceof Float32Array)) {
    throw invalid('embeddings of an EncodedImage', 'a Float32Array', image.embeddings);
  }
  if (image.width !== width) {
    throw invalid('width of an EncodedImage', `the model's ${width}`, image.width);
  }
  const { tokenCount } = image;
  if (!Number.isInteger(tokenCount) || tokenCount <= 0 || image.embeddings.length !== tokenCount * width) {
    throw invalid(
      'embeddings of an EncodedImage',
      `tokenCount (${String(tokenCount)}) * ${width} values`,
      image.embeddings.length,
    );
  }
}
