import { orAborted } from './abort.js';
import { type Part, toSegment } from './content.js';
import {
  type EncodedImage,
  encodeImage,
  type ImageTimings,
  isEncodedImage,
  leastImageTokens,
  localImage,
} from './encoded-image.js';
import type { Engine } from './engine.js';
import { XgenmmError } from './errors.js';
import type { ImageInput, ImageMode, ImageOptions } from './image.js';
import { remoteUrl } from './image-source.js';
import { countText, type Passage } from './passage.js';
import type { Report } from './progress.js';

/** A passage made of content, and the time that its pictures took (ms, summed). */
export interface Prompt extends Passage {
  timings: ImageTimings;
}

export interface PromptSettings {
  parseSpecial: boolean;
  /** The model's. */
  imageMode: ImageMode | undefined;
  /** Positions that stand in front in any case; undefined for the start of a prompt. */
  before?: number;
}

interface Picture {
  image: ImageInput;
  options: ImageOptions;
}

/**
 * Makes a passage of `parts`. The text is tokenised first, then pictures are fetched and measured, then encoded, so that a wrong special
 * token or a prompt that cannot fit fails before any work that takes long.
 */
export async function buildPrompt(
  engine: Engine,
  parts: readonly Part[],
  { parseSpecial, imageMode, before }: PromptSettings,
  report: Report,
  signal: AbortSignal | undefined,
): Promise<Prompt> {
  const tokens = engine.tokenize(parts.map(toSegment), parseSpecial, before !== undefined);
  const fixed = (before ?? 0) + countText(tokens);
  const pictures = await measurePictures(engine, parts, fixed, imageMode, signal);

  const images: EncodedImage[] = [];
  const timings = { decode: 0, preprocess: 0, vision: 0, resample: 0 };
  const total = pictures.filter(({ image }) => !isEncodedImage(image)).length;
  let encodedBefore = 0;
  for (const { image, options } of pictures) {
    signal?.throwIfAborted();
    const onProgress = (fraction: number) => report('images', (encodedBefore + fraction) / total);
    const encoded = await encodeImage(engine, image, options, imageMode, signal, onProgress);
    images.push(encoded.image);
    timings.decode += encoded.timings.decode;
    timings.preprocess += encoded.timings.preprocess;
    timings.vision += encoded.timings.vision;
    timings.resample += encoded.timings.resample;
    if (isEncodedImage(image)) continue;
    onProgress(1);
    encodedBefore++;
  }
  return { tokens, images, timings };
}

/** The pictures of `parts`, all here. A prompt that cannot fit, `fixed` positions of text included, is refused as soon as that is known. */
async function measurePictures(
  engine: Engine,
  parts: readonly Part[],
  fixed: number,
  imageMode: ImageMode | undefined,
  signal: AbortSignal | undefined,
): Promise<Picture[]> {
  const { contextSize } = engine.info;
  const pictures: Picture[] = [];
  let positions = fixed;
  for (const part of parts) {
    if (part.kind !== 'image') continue;
    const { options } = part;
    if (remoteUrl(part.image, 'image') !== undefined) checkLength(positions, contextSize);
    const image = await localImage(part.image, imageMode, signal);
    positions += await orAborted(leastImageTokens(engine, image, options, imageMode, signal), signal);
    pictures.push({ image, options });
  }
  checkLength(positions, contextSize);
  return pictures;
}

/** Throws ERR_XGENMM_CONTEXT_OVERFLOW if a prompt of that many positions does not fit. */
export function checkLength(positions: number, contextSize: number): void {
  if (positions <= contextSize) return;
  throw new XgenmmError(
    'ERR_XGENMM_CONTEXT_OVERFLOW',
    `the prompt takes ${positions} positions, but the context holds ${contextSize}: shorten it, use fewer pictures or load with a larger contextSize`,
  );
}
