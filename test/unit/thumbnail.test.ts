import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { drawThumbnail } from '../../lib/cli/thumbnail/thumbnail.js';
import type { RawImage } from '../../lib/index.js';
import { readSixel } from './sixel-reader.js';

let folder: string;
/** Blue with a red square, and larger than a thumbnail. */
let drawn: string;
/** Incompressible, so that a terminal needs it in several pieces, and smaller than a thumbnail. */
let noisy: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'xgen-mm-'));
  [drawn, noisy] = [join(folder, 'drawn.png'), join(folder, 'noisy.webp')];
  const square = { create: { width: 200, height: 200, channels: 3, background: '#cc0000' } } as const;
  await sharp({ create: { width: 1280, height: 400, channels: 3, background: '#0033cc' } })
    .composite([{ input: square, left: 200, top: 100 }])
    .toFile(drawn);
  const noise = { type: 'gaussian', mean: 128, sigma: 50 } as const;
  await sharp({ create: { width: 90, height: 50, channels: 3, background: 'black', noise } })
    .webp({ lossless: true })
    .toFile(noisy);
});
afterAll(() => rmSync(folder, { recursive: true }));

/** What sharp itself makes of a picture that is at most as large as a thumbnail may be. */
function pixelsOf(file: string | Buffer): Promise<Buffer> {
  const size = { width: 320, height: 160, fit: 'inside', withoutEnlargement: true } as const;
  return sharp(file).resize(size).ensureAlpha().raw().toBuffer();
}

async function expectSame(png: Buffer, file: string): Promise<void> {
  expect((await sharp(png).metadata()).format).toBe('png');
  expect((await pixelsOf(png)).equals(await pixelsOf(file))).toBe(true);
}

/** How far the values of pixels are apart on average. */
function meanError({ data }: RawImage, expected: Buffer): number {
  expect(data.length).toBe(expected.length);
  return expected.reduce((sum, value, at) => sum + Math.abs(value - (data[at] as number)), 0) / data.length;
}

describe("Kitty's protocol", () => {
  /** The settings and the picture of a stream. */
  function readKitty(stream: string): { controls: string[]; png: Buffer } {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that is how terminals speak
    const pieces = [...stream.matchAll(/\x1b_G([^;]*);([A-Za-z0-9+/=]*)\x1b\\/g)];
    expect(`${pieces.map(([piece]) => piece).join('')}\n`).toBe(stream);
    expect(pieces.every(([, , data]) => (data as string).length <= 4096)).toBe(true);
    return {
      controls: pieces.map(([, control]) => control as string),
      png: Buffer.from(pieces.map(([, , data]) => data).join(''), 'base64'),
    };
  }

  test('a picture in one piece', async () => {
    const { controls, png } = readKitty(await drawThumbnail(drawn, 'kitty'));
    expect(controls).toEqual(['a=T,f=100,r=5,q=2,m=0']);
    await expectSame(png, drawn);
  });

  test('a picture in several', async () => {
    const { controls, png } = readKitty(await drawThumbnail(noisy, 'kitty'));
    expect(controls[0]).toBe('a=T,f=100,r=3,q=2,m=1');
    expect(controls.at(-1)).toBe('q=2,m=0');
    expect(new Set(controls.slice(1, -1))).toEqual(new Set(['q=2,m=1']));
    await expectSame(png, noisy);
  });
});

test("iTerm2's protocol", async () => {
  for (const [file, height] of [
    [drawn, 5],
    [noisy, 3],
  ] as const) {
    const stream = await drawThumbnail(file, 'iterm');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that is how terminals speak
    const [, settings, data = ''] = /^\x1b]1337;File=([^:]*):([A-Za-z0-9+/=]*)\x07\n$/.exec(stream) ?? [];
    const png = Buffer.from(data, 'base64');
    expect(settings).toBe(`inline=1;size=${png.length};width=auto;height=${height};preserveAspectRatio=1`);
    await expectSame(png, file);
  }
});

describe('Sixel', () => {
  test('shows few colours as they are, to the percent', async () => {
    const stream = await drawThumbnail(drawn, 'sixel');
    expect(stream.endsWith('\n')).toBe(true);
    const picture = readSixel(stream.slice(0, -1));
    const { width, height } = picture;
    expect({ width, height }).toEqual({ width: 320, height: 100 });
    expect(meanError(picture, await pixelsOf(drawn))).toBeLessThan(1);
  });

  test('comes close where there are more colours than it has', async () => {
    const picture = readSixel((await drawThumbnail(noisy, 'sixel')).slice(0, -1));
    expect(meanError(picture, await pixelsOf(noisy))).toBeLessThan(20);
  });
});
