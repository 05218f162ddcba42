import { type Part, toSegment } from './content.js';
import { encodeImage, type ImageTimings } from './encoded-image.js';
import type { Engine } from './engine.js';
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

export function appendTokens(before: Int32Array, added: Int32Array): Int32Array {
  const tokens = new Int32Array(before.length + added.length);
  tokens.set(before);
  tokens.set(added, before.length);
  return tokens;
}
