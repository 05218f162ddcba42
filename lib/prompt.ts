import { orAborted } from './abort.js';
import { type Part, toSegment } from './content.js';
import { encodeImage, type ImageTimings, leastImageTokens } from './encoded-image.js';
import type { Engine } from './engine.js';
import { XgenmmError } from './errors.js';
import type { ImageMode } from './image.js';
import type { NativePrompt } from './native.js';

/** Tokens and pictures ready for the engine, and the time that the pictures took (ms, summed). */
export interface Prompt extends NativePrompt {
  timings: ImageTimings;
}

/** What the tokens of a continued prompt follow. */
export const EMPTY_PROMPT: NativePrompt = { tokens: new Int32Array(), images: [] };

/**
 * Appends `parts` to `before`, whose tokens stay as they are. The text is tokenised first, so that a wrong special token fails
 * before any picture is encoded.
 */
export async function buildPrompt(
  engine: Engine,
  before: NativePrompt,
  parts: readonly Part[],
  options: { parseSpecial: boolean; imageMode: ImageMode | undefined },
  signal: AbortSignal | undefined,
): Promise<Prompt> {
  const added = engine.tokenize(parts.map(toSegment), options.parseSpecial, before.tokens.length > 0);
  await orAborted(checkLength(engine, before, added, parts, options.imageMode), signal);
  const images = [...before.images];
  const timings = { decode: 0, preprocess: 0, vision: 0, resample: 0 };
  for (const part of parts) {
    if (part.kind !== 'image') continue;
    signal?.throwIfAborted();
    const encoded = await encodeImage(engine, part.image, part.options, options.imageMode, signal);
    images.push(encoded.image.embeddings);
    timings.decode += encoded.timings.decode;
    timings.preprocess += encoded.timings.preprocess;
    timings.vision += encoded.timings.vision;
    timings.resample += encoded.timings.resample;
  }
  // Image k of the added parts is image k + before.images.length of the whole.
  const shifted = added.map((token) => (token < 0 ? token - before.images.length : token));
  return { tokens: appendTokens(before.tokens, shifted), images, timings };
}

/** A prompt that cannot fit is refused before its pictures are encoded, which takes long. */
async function checkLength(
  engine: Engine,
  before: NativePrompt,
  added: Int32Array,
  parts: readonly Part[],
  imageMode: ImageMode | undefined,
): Promise<void> {
  const isToken = (token: number) => token >= 0;
  let positions = before.tokens.filter(isToken).length + added.filter(isToken).length;
  for (const image of before.images) positions += image.length / engine.info.width;
  for (const part of parts) {
    if (part.kind === 'image')
      positions += await leastImageTokens(engine, part.image, part.options, imageMode);
  }
  const { contextSize } = engine.info;
  if (positions > contextSize) {
    throw new XgenmmError(
      'ERR_XGENMM_CONTEXT_OVERFLOW',
      `the prompt takes ${positions} positions, but the context holds ${contextSize}: shorten it, use fewer pictures or load with a larger contextSize`,
    );
  }
}

export function appendTokens(before: Int32Array, added: Int32Array): Int32Array {
  const tokens = new Int32Array(before.length + added.length);
  tokens.set(before);
  tokens.set(added, before.length);
  return tokens;
}
