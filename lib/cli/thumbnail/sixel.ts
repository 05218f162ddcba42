import type { RawImage } from '../../image.js';

/** More a terminal need not have. */
const COLOURS = 256;
/** Pixels without a colour stay as they are. */
const TRANSPARENT = 1;

/** What shows pixels, RGBA, as Sixel. */
export async function sixelPicture({ data, width, height }: RawImage): Promise<string> {
  const { default: sixel } = await import('sixel');
  // The encoder takes what slice() gives for a copy, which a Buffer's is not, and the memory of an array to begin where the array does.
  return sixel.image2sixel(new Uint8Array(data), width, height, COLOURS, TRANSPARENT);
}
