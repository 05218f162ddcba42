import type { Sharp, SharpOptions } from 'sharp';
import { type EncodedImage, isEncodedImage } from './encoded-image.js';
import { XgenmmError } from './errors.js';
import { readBytes, remoteUrl } from './image-source.js';
import { boolean, check, describe, invalid, oneOf, positiveInteger, type Rules, rule } from './options.js';

/**
 * How a picture becomes tiles. `anyres`: the whole picture and two to four crops (3 to 5 tiles); `squash`: one tile, aspect ratio
 * ignored; `pad`: one tile, padded to a square.
 */
export type ImageMode = 'anyres' | 'squash' | 'pad';

/** Decoded pixels, 8 bits each, row-major and interleaved: `[height, width, channels]`; 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA. */
export interface RawImage {
  /** `height * width * channels` bytes. */
  data: Uint8Array | Uint8ClampedArray;
  /** Pixels. */
  width: number;
  /** Pixels. */
  height: number;
  /** Bytes of a pixel. */
  channels: 1 | 2 | 3 | 4;
}

/**
 * A picture: a path, a file URL or data URL (as string or URL), with `fetchImages: true` an http(s) URL, the bytes of a file, raw
 * pixels, a sharp instance (used as its own pipeline says) or what `encodeImage` returned. JPEG, PNG, WebP, GIF, TIFF, AVIF and SVG are
 * read; of an animation the first frame.
 */
export type ImageInput = string | URL | Uint8Array | ArrayBuffer | Blob | RawImage | Sharp | EncodedImage;

/** A picture that has still to be decoded. */
export type UnencodedImage = Exclude<ImageInput, EncodedImage>;

/** What is painted behind transparent pixels: a CSS colour or 0..255 per channel. */
export type Background =
  | string
  | {
      /** Red. */
      r: number;
      /** Green. */
      g: number;
      /** Blue. */
      b: number;
    };

/** How a picture is read and tiled. */
export interface ImageOptions {
  /** Default: the model's `imageMode`. */
  mode?: ImageMode | undefined;
  /** Apply the file's EXIF orientation; default true. */
  orient?: boolean | undefined;
  /** Flatten transparency on this colour. Default: transparency is dropped, as the reference does, which shows the hidden colours. */
  background?: Background | undefined;
}

export const IMAGE_RULES: Rules<ImageOptions> = {
  mode: oneOf<ImageMode>('anyres', 'squash', 'pad'),
  orient: boolean,
  background: rule<Background>('a colour as string or { r, g, b } of 0 to 255', isBackground),
};

/** The largest picture that is read (the same as in native/core/image/picture.h): pixels a side and in all. */
const MAX_SIDE = 1 << 17;
const MAX_PIXELS = 0x3fff * 0x3fff;

export const FORMATS = ['jpeg', 'png', 'webp', 'gif', 'tiff', 'heif', 'svg'];

/** RGB pixels, `[height, width, 3]`. */
export interface Pixels {
  data: Uint8Array;
  width: number;
  height: number;
}

/**
 * Checks that `value` has the type of a picture and takes it as it is now: what the caller does with its memory later changes nothing.
 * Throws ERR_XGENMM_INVALID_ARGUMENT, also for an http(s) URL unless `fetchImages`.
 */
export function takeImage(value: unknown, name: string, fetchImages: boolean): ImageInput {
  const remote = remoteUrl(value, name);
  if (remote !== undefined) {
    if (fetchImages) return remote;
    throw new XgenmmError(
      'ERR_XGENMM_INVALID_ARGUMENT',
      `Expected a local picture or a data: URL for ${name}, received ${describe(String(value))}: pictures are fetched from the network only with the option fetchImages: true`,
    );
  }
  if (value instanceof URL) return new URL(value);
  if (isSharp(value)) return value.clone();
  if (typeof value === 'string' || value instanceof Blob) return value;
  try {
    if (value instanceof Uint8Array) return new Uint8Array(value);
    if (value instanceof ArrayBuffer) return value.slice(0);
    if (isRawImage(value)) return takeRaw(value);
    if (isEncodedImage(value)) return takeEncoded(value);
  } catch (error) {
    if (error instanceof XgenmmError) throw error;
    throw invalid(name, 'a picture whose memory is still there', value);
  }
  throw invalid(name, 'a path, URL, Buffer, Blob, raw pixels, sharp instance or EncodedImage', value);
}

function takeRaw(image: RawImage): RawImage {
  checkRaw(image);
  // Not slice(): a Buffer's gives a view of the same memory.
  return { ...image, data: new Uint8Array(image.data) };
}

function takeEncoded(image: EncodedImage): EncodedImage {
  const { embeddings } = image;
  return embeddings instanceof Float32Array ? { ...image, embeddings: new Float32Array(embeddings) } : image;
}

/**
 * The picture as 8-bit RGB, the values of Pillow's `convert('RGB')`: palettes expanded, grey replicated, the high byte of 16 bits,
 * ICC profiles ignored. Differs from Pillow in 16-bit grey (Pillow clips it to white), CMYK (converted by its profile here) and the
 * hidden colour of transparent GIF pixels (black here).
 * A signal stops reading a file; decoding cannot be stopped.
 * Throws ERR_XGENMM_FILE_NOT_FOUND, ERR_XGENMM_IMAGE_DECODE, ERR_XGENMM_IMAGE_LIMIT or ERR_XGENMM_INVALID_ARGUMENT.
 */
export async function decodeImage(
  image: UnencodedImage,
  options: ImageOptions,
  signal?: AbortSignal,
): Promise<Pixels> {
  if (isRawImage(image)) return decodeRaw(image, options);
  if (isSharp(image)) return toRgb(image.clone(), 'the sharp instance', options);
  const { name, bytes, metadata } = await openFile(image, signal);
  const pipeline = await openSharp(name, bytes, { ignoreIcc: metadata.space !== 'cmyk' });
  return toRgb(options.orient === false ? pipeline : pipeline.autoOrient(), name, options);
}

/** Width and height in pixels of what {@link decodeImage} returns, from the header where there is one. */
export async function measureImage(
  image: UnencodedImage,
  options: ImageOptions,
  signal?: AbortSignal,
): Promise<{ width: number; height: number }> {
  if (isRawImage(image)) return image;
  if (isSharp(image)) return decodeImage(image, options);
  const { metadata } = await openFile(image, signal);
  return options.orient === false ? metadata : metadata.autoOrient;
}

async function decodeRaw(image: RawImage, options: ImageOptions): Promise<Pixels> {
  const { width, height, channels } = image;
  const data = new Uint8Array(image.data.buffer, image.data.byteOffset, image.data.byteLength);
  if (channels === 3) return { data, width, height };
  const name = 'the raw pixels';
  return toRgb(await openSharp(name, data, { raw: { width, height, channels } }), name, options);
}

async function toRgb(pipeline: Sharp, name: string, { background }: ImageOptions): Promise<Pixels> {
  // Unlike flatten, removeAlpha keeps the colours as they are stored.
  const opaque = background === undefined ? pipeline.removeAlpha() : flatten(pipeline, background);
  const decoded = opaque.toColourspace('srgb').raw().toBuffer({ resolveWithObject: true });
  const { data, info } = await decoded.catch((cause) => {
    throw decodeError(name, cause);
  });
  const { width, height, channels } = info;
  // A sharp instance can end in a single extracted channel.
  if (channels !== 3) return decodeRaw({ data, width, height, channels }, {});
  checkPixelCount(width, height, name);
  return { data, width, height };
}

function flatten(pipeline: Sharp, background: Background): Sharp {
  try {
    return pipeline.flatten({ background });
  } catch {
    throw invalid('background', 'a CSS colour', background);
  }
}

/** The bytes of a picture and what their header says. */
async function openFile(image: Exclude<UnencodedImage, RawImage | Sharp>, signal: AbortSignal | undefined) {
  const { name, bytes } = await readBytes(image, signal);
  const header = await openSharp(name, bytes, { limitInputPixels: false });
  const metadata = await header.metadata().catch((cause) => {
    throw decodeError(name, cause);
  });
  if (!FORMATS.includes(metadata.format)) {
    throw decodeError(name, new Error(`pictures of format ${metadata.format} are not read`));
  }
  checkPixelCount(metadata.width, metadata.height, name);
  return { name, bytes, metadata };
}

/** sharp is loaded with the first picture that needs it. */
async function openSharp(name: string, bytes: Uint8Array, options: SharpOptions): Promise<Sharp> {
  const { default: sharp } = await import('sharp').catch((cause) => {
    throw decodeError(name, cause);
  });
  try {
    return sharp(bytes, { failOn: 'error', limitInputPixels: MAX_PIXELS, ...options });
  } catch (cause) {
    throw decodeError(name, cause);
  }
}

function decodeError(name: string, cause: unknown): XgenmmError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new XgenmmError(
    'ERR_XGENMM_IMAGE_DECODE',
    `Expected a picture that can be decoded, received ${name}: ${reason}`,
    {
      cause,
    },
  );
}

function checkPixelCount(width: number, height: number, name: string): void {
  if (Math.max(width, height) > MAX_SIDE || width * height > MAX_PIXELS) {
    throw new XgenmmError(
      'ERR_XGENMM_IMAGE_LIMIT',
      `Expected a picture of at most ${MAX_PIXELS} pixels and ${MAX_SIDE} a side, received ${width} x ${height} in ${name}`,
    );
  }
}

function checkRaw({ data, width, height, channels }: RawImage): void {
  check(width, positiveInteger, 'the width of raw pixels');
  check(height, positiveInteger, 'the height of raw pixels');
  if (![1, 2, 3, 4].includes(channels)) throw invalid('the channels of raw pixels', '1, 2, 3 or 4', channels);
  checkPixelCount(width, height, 'the raw pixels');
  if (!(data instanceof Uint8Array || data instanceof Uint8ClampedArray)) {
    throw invalid('the data of raw pixels', 'a Uint8Array or Uint8ClampedArray', data);
  }
  const expected = width * height * channels;
  if (data.length !== expected) {
    throw invalid('the data of raw pixels', `width * height * channels = ${expected} bytes`, data.length);
  }
}

function isRawImage(value: unknown): value is RawImage {
  return (
    typeof value === 'object' &&
    value !== null &&
    Object.hasOwn(value, 'data') &&
    Object.hasOwn(value, 'channels')
  );
}

export function isSharp(value: unknown): value is Sharp {
  const methods = ['clone', 'metadata', 'raw', 'toBuffer'] as const;
  return (
    typeof value === 'object' &&
    value !== null &&
    methods.every((name) => typeof (value as Partial<Sharp>)[name] === 'function')
  );
}

function isBackground(value: unknown): boolean {
  if (typeof value === 'string') return value !== '';
  if (typeof value !== 'object' || value === null) return false;
  const { r, g, b, ...rest } = value as Record<string, unknown>;
  const channels = [r, g, b].every(
    (channel) => typeof channel === 'number' && channel >= 0 && channel <= 255,
  );
  return channels && Object.keys(rest).length === 0;
}
