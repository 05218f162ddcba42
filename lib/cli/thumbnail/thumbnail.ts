import type { Sharp } from 'sharp';
import { itermPicture } from './iterm.js';
import { kittyPicture } from './kitty.js';
import type { Protocol } from './protocol.js';
import { sixelPicture } from './sixel.js';

/** Pixels, at most. */
const WIDTH = 320;
const HEIGHT = 160;
/** Pixels of a row of text where terminals scale: about as high as on a plain screen, more on a finer one. */
const ROW = 20;

/** What shows a small copy of the picture in this file, with the cursor at the beginning of the line below. */
export async function drawThumbnail(file: string, protocol: Protocol): Promise<string> {
  const { default: sharp } = await import('sharp');
  const size = { width: WIDTH, height: HEIGHT, fit: 'inside', withoutEnlargement: true } as const;
  return `${await encode(sharp(file).autoOrient().resize(size), protocol)}\n`;
}

async function encode(picture: Sharp, protocol: Protocol): Promise<string> {
  if (protocol === 'sixel') {
    const { data, info } = await picture
      .toColourspace('srgb')
      .ensureAlpha()
      .raw()
      .toBuffer({ resolveWithObject: true });
    return sixelPicture({ data, width: info.width, height: info.height, channels: 4 });
  }
  const { data, info } = await picture.png().toBuffer({ resolveWithObject: true });
  const rows = Math.max(1, Math.round(info.height / ROW));
  return protocol === 'kitty' ? kittyPicture(data, rows) : itermPicture(data, rows);
}
