import type { EncodedImage } from './encoded-image.js';
import type { NativePrompt } from './native.js';

/** A part of a prompt: token ids, where `-1-k` stands for the passage's own `images[k]`. */
export interface Passage {
  readonly tokens: Int32Array;
  readonly images: readonly EncodedImage[];
}

/** Positions that a passage takes in the context. */
export function countPositions({ tokens, images }: Passage): number {
  return countText(tokens) + images.reduce((sum, image) => sum + image.tokenCount, 0);
}

/** Positions that are not pictures. */
export function countText(tokens: Int32Array): number {
  return tokens.reduce((sum, token) => (token < 0 ? sum : sum + 1), 0);
}

/** Passages one after another as one prompt, whose pictures are numbered through. */
export function joinPassages(passages: readonly Passage[]): NativePrompt {
  const tokens = new Int32Array(passages.reduce((sum, passage) => sum + passage.tokens.length, 0));
  const images: Float32Array[] = [];
  let end = 0;
  for (const passage of passages) {
    const before = images.length;
    tokens.set(
      passage.tokens.map((token) => (token < 0 ? token - before : token)),
      end,
    );
    end += passage.tokens.length;
    images.push(...passage.images.map(({ embeddings }) => embeddings));
  }
  return { tokens, images };
}
