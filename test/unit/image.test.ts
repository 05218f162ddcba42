import { readFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { crc32, deflateSync } from 'node:zlib';
import sharp from 'sharp';
import { describe, expect, test } from 'vitest';
import {
  decodeImage,
  type ImageOptions,
  measureImage,
  takeImage,
  type UnencodedImage,
} from '../../lib/image.js';

const cases = new URL('../fixtures/cases/', import.meta.url);
const squarePath = fileURLToPath(new URL('01_square/image_0.png', cases));
const square = readFileSync(squarePath);

/** One u8 tensor of a safetensors file. */
function readTensor(url: URL, name: string): { shape: number[]; data: Uint8Array } {
  const file = readFileSync(url);
  const headerEnd = 8 + Number(file.readBigUInt64LE(0));
  const { shape, data_offsets } = JSON.parse(file.toString('utf8', 8, headerEnd))[name];
  return { shape, data: file.subarray(headerEnd + data_offsets[0], headerEnd + data_offsets[1]) };
}

function pngChunk(type: string, data: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(type), data]);
  const chunk = Buffer.alloc(body.length + 8);
  chunk.writeUInt32BE(data.length);
  body.copy(chunk, 4);
  chunk.writeUInt32BE(crc32(body), body.length + 4);
  return chunk;
}

/** A PNG of one row. */
function png(width: number, depth: number, colourType: number, row: number[], extra: Buffer[] = []): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(1, 4);
  header.set([depth, colourType], 8);
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    pngChunk('IHDR', header),
    ...extra,
    pngChunk('IDAT', deflateSync(Buffer.from([0, ...row]))),
    pngChunk('IEND', Buffer.alloc(0)),
  ]);
}

async function pixelsOf(image: UnencodedImage, options: ImageOptions = {}): Promise<number[]> {
  return [...(await decodeImage(image, options)).data];
}

describe('pixels equal Pillow', () => {
  test.each([
    ['06_rgba', 'image_0.png', 0],
    ['07_grey', 'image_0.png', 0],
    ['08_palette', 'image_0.png', 0],
    ['17_grey_alpha', 'image_0.png', 0],
    ['05_large_jpeg', 'image_0.jpg', 2],
  ])('%s', async (name, file, tolerance) => {
    const decoded = await decodeImage(fileURLToPath(new URL(`${name}/${file}`, cases)), {});
    const { shape, data } = readTensor(new URL(`${name}/expected.safetensors`, cases), 'image_0_rgb');
    expect([decoded.height, decoded.width, 3]).toEqual(shape);
    expect(decoded.data.length).toBe(data.length);
    let worst = 0;
    for (let i = 0; i < data.length; i++) {
      worst = Math.max(worst, Math.abs((data[i] as number) - (decoded.data[i] as number)));
    }
    expect(worst).toBeLessThanOrEqual(tolerance);
  });

  const gamma = pngChunk('gAMA', Buffer.from([0, 1, 134, 160]));
  const palette = pngChunk('PLTE', Buffer.from([10, 20, 30, 40, 50, 60]));
  const paletteAlpha = pngChunk('tRNS', Buffer.from([0, 128]));
  test.each<[string, Buffer, number[]]>([
    [
      'transparent colours survive, gamma is ignored',
      png(1, 8, 6, [200, 100, 50, 0], [gamma]),
      [200, 100, 50],
    ],
    ['grey and alpha', png(1, 8, 4, [90, 7]), [90, 90, 90]],
    ['palette with transparency', png(2, 8, 3, [1, 0], [palette, paletteAlpha]), [40, 50, 60, 10, 20, 30]],
    ['colour key', png(1, 8, 2, [1, 2, 3], [pngChunk('tRNS', Buffer.from([0, 1, 0, 2, 0, 3]))]), [1, 2, 3]],
    ['two-bit grey', png(4, 2, 0, [0b00011011]), [0, 0, 0, 85, 85, 85, 170, 170, 170, 255, 255, 255]],
    ['one-bit grey', png(8, 1, 0, [0b10000000]).subarray(), [255, 255, 255, ...Array(21).fill(0)]],
    ['16-bit RGB keeps its high bytes', png(1, 16, 2, [1, 255, 2, 0, 3, 128], [gamma]), [1, 2, 3]],
    ['16-bit RGBA', png(1, 16, 6, [1, 255, 2, 0, 3, 128, 0, 9]), [1, 2, 3]],
    ['16-bit grey and alpha', png(1, 16, 4, [77, 200, 1, 0]), [77, 77, 77]],
    ['16-bit grey is scaled', png(1, 16, 0, [77, 200]), [77, 77, 77]],
  ])('%s', async (_, file, expected) => {
    expect(await pixelsOf(file)).toEqual(expected);
  });
});

describe('kinds of input', () => {
  test('all ways to name the same file', async () => {
    const expected = await pixelsOf(squarePath);
    const base64 = `data:image/png;base64,${square.toString('base64')}`;
    const arrayBuffer = new Uint8Array(square).buffer;
    const others = [
      pathToFileURL(squarePath),
      pathToFileURL(squarePath).href,
      base64,
      new URL(base64),
      square,
      new Uint8Array(square),
      arrayBuffer,
      new Blob([arrayBuffer]),
      sharp(square),
    ];
    for (const image of others) expect(await pixelsOf(image)).toEqual(expected);
  });

  test('raw pixels of 1 to 4 channels', async () => {
    const raw = (channels: 1 | 2 | 3 | 4, ...data: number[]) => ({
      data: Uint8Array.from(data),
      width: 2,
      height: 1,
      channels,
    });
    expect(await pixelsOf(raw(1, 7, 8))).toEqual([7, 7, 7, 8, 8, 8]);
    expect(await pixelsOf(raw(2, 7, 0, 8, 255))).toEqual([7, 7, 7, 8, 8, 8]);
    expect(await pixelsOf(raw(3, 1, 2, 3, 4, 5, 6))).toEqual([1, 2, 3, 4, 5, 6]);
    expect(await pixelsOf(raw(4, 1, 2, 3, 0, 4, 5, 6, 255))).toEqual([1, 2, 3, 4, 5, 6]);
    const clamped = new Uint8ClampedArray([0, 0, 9, 8, 7]).subarray(2);
    expect(await pixelsOf({ data: clamped, width: 1, height: 1, channels: 3 })).toEqual([9, 8, 7]);
  });

  test('a sharp instance is used as its pipeline says, and stays usable', async () => {
    const instance = sharp(square).resize(8, 4);
    expect(await measureImage(instance, {})).toMatchObject({ width: 8, height: 4 });
    const single = await decodeImage(instance.clone().extractChannel(0), {});
    expect(single.data.length).toBe(8 * 4 * 3);
    expect(single.data[0]).toBe(single.data[1]);
    expect((await instance.raw().toBuffer()).length).toBe(8 * 4 * 3);
  });

  test('is taken as it is at the call', async () => {
    const pixels = [1, 2, 3, 4, 5, 6];
    for (const data of [new Uint8Array(pixels), Buffer.from(pixels), new Uint8ClampedArray(pixels)]) {
      const taken = takeImage({ data, width: 2, height: 1, channels: 3 }, 'image', false);
      data.fill(9);
      expect(await pixelsOf(taken as UnencodedImage)).toEqual(pixels);
    }
    const bytes = Buffer.from(square);
    const file = takeImage(bytes, 'image', false) as UnencodedImage;
    bytes.fill(0);
    expect(await pixelsOf(file)).toEqual(await pixelsOf(square));
    const instance = sharp(square);
    const own = takeImage(instance, 'image', false) as UnencodedImage;
    instance.negate();
    expect(await pixelsOf(own)).toEqual(await pixelsOf(square));
    const embeddings = new Float32Array([1, 2]);
    const encoded = { embeddings, tokenCount: 1, width: 2, tiles: { columns: 0, rows: 0 }, mode: 'pad' };
    const kept = takeImage(encoded, 'image', false);
    embeddings.fill(0);
    expect(kept).toMatchObject({ embeddings: new Float32Array([1, 2]) });
  });

  test('a Buffer over memory that is taken away does not matter', async () => {
    const memory = new ArrayBuffer(12);
    const taken = takeImage({ data: Buffer.from(memory), width: 2, height: 2, channels: 3 }, 'image', false);
    structuredClone(memory, { transfer: [memory] });
    expect(await pixelsOf(taken as UnencodedImage)).toEqual(Array(12).fill(0));
  });

  test('SVG, and a data: URL that is not base64', async () => {
    const svg =
      '<svg xmlns="http://www.w3.org/2000/svg" width="2" height="1"><rect width="1" height="1" fill="red"/></svg>';
    const url = `data:image/svg+xml,${encodeURIComponent(svg)}`;
    expect(await pixelsOf(url, { background: 'white' })).toEqual([255, 0, 0, 255, 255, 255]);
  });

  test('the first frame of an animation', async () => {
    const frames = { width: 2, height: 4, channels: 3, pageHeight: 2 } as const;
    const gif = await sharp(Buffer.from([...Array(12).fill(255), ...Array(12).fill(0)]), { raw: frames })
      .gif()
      .toBuffer();
    expect((await sharp(gif).metadata()).pages).toBe(2);
    expect(await pixelsOf(gif)).toEqual(Array(12).fill(255));
  });
});

describe('options', () => {
  test('EXIF orientation is applied unless orient is false', async () => {
    const pixels = { raw: { width: 2, height: 1, channels: 3 } } as const;
    const turned = await sharp(Buffer.from([255, 0, 0, 0, 0, 255]), pixels)
      .withMetadata({ orientation: 6 })
      .png()
      .toBuffer();
    expect(await decodeImage(turned, {})).toMatchObject({ width: 1, height: 2 });
    expect(await measureImage(turned, {})).toMatchObject({ width: 1, height: 2 });
    expect(await decodeImage(turned, { orient: false })).toMatchObject({ width: 2, height: 1 });
    expect(await measureImage(turned, { orient: false })).toMatchObject({ width: 2, height: 1 });
  });

  test('transparency is flattened on the background', async () => {
    const transparent = png(1, 8, 6, [200, 100, 50, 0]);
    expect(await pixelsOf(transparent, { background: { r: 1, g: 2, b: 3 } })).toEqual([1, 2, 3]);
    expect(await pixelsOf(transparent, { background: '#ff8000' })).toEqual([255, 128, 0]);
    await expect(pixelsOf(transparent, { background: 'nonsense' })).rejects.toMatchObject({
      code: 'ERR_XGENMM_INVALID_ARGUMENT',
      message: 'Expected a CSS colour for background, received "nonsense"',
    });
  });

  test('an ICC profile changes nothing', async () => {
    const pixels = { raw: { width: 1, height: 1, channels: 3 } } as const;
    const profiled = await sharp(Buffer.from([200, 100, 50]), pixels)
      .png()
      .withIccProfile('p3', { attach: true })
      .toBuffer();
    const { data } = await sharp(profiled, { ignoreIcc: true }).raw().toBuffer({ resolveWithObject: true });
    expect((await sharp(profiled).metadata()).hasProfile).toBe(true);
    expect([...data]).not.toEqual([200, 100, 50]);
    expect(await pixelsOf(profiled)).toEqual([...data]);
  });
});

describe('errors', () => {
  const raw = { data: new Uint8Array(6), width: 2, height: 1, channels: 3 } as const;
  test.each<[string, UnencodedImage, string, RegExp]>([
    [
      'missing file',
      'no/such.png',
      'ERR_XGENMM_FILE_NOT_FOUND',
      /readable picture at no\/such\.png, received ENOENT/,
    ],
    ['folder', fileURLToPath(cases), 'ERR_XGENMM_FILE_NOT_FOUND', /cases.*received EISDIR/],
    [
      'no picture',
      Buffer.from('hello, I am a text'),
      'ERR_XGENMM_IMAGE_DECODE',
      /the picture of 18 bytes: Input buffer/,
    ],
    ['empty', new Uint8Array(), 'ERR_XGENMM_IMAGE_DECODE', /the picture of 0 bytes/],
    ['half a picture', square.subarray(0, square.length / 2), 'ERR_XGENMM_IMAGE_DECODE', /the picture of/],
    ['broken data: URL', 'data:image/png;base64', 'ERR_XGENMM_INVALID_ARGUMENT', /well-formed data: URL/],
    ['ill-formed data: URL', 'data:image/png,%zz', 'ERR_XGENMM_INVALID_ARGUMENT', /well-formed data: URL/],
    [
      'web address',
      'https://example.org/a.png',
      'ERR_XGENMM_INVALID_ARGUMENT',
      /fetched from the network only with the option fetchImages: true/,
    ],
    [
      'too large',
      { ...raw, width: 20000, height: 20000 },
      'ERR_XGENMM_IMAGE_LIMIT',
      /at most 268402689 pixels and 131072 a side, received 20000 x 20000/,
    ],
    [
      'wrong length',
      { ...raw, height: 2 },
      'ERR_XGENMM_INVALID_ARGUMENT',
      /channels = 12 bytes .*, received 6/,
    ],
    [
      'wrong width',
      { ...raw, width: 0.5 },
      'ERR_XGENMM_INVALID_ARGUMENT',
      /width of raw pixels, received 0.5/,
    ],
    [
      'wrong channels',
      { ...raw, channels: 5 as 4 },
      'ERR_XGENMM_INVALID_ARGUMENT',
      /1, 2, 3 or 4 .*, received 5/,
    ],
    [
      'wrong data',
      { ...raw, data: [1] as never },
      'ERR_XGENMM_INVALID_ARGUMENT',
      /Uint8Array or Uint8ClampedArray/,
    ],
  ])('%s', async (_, image, code, message) => {
    const decoding = (async () => decodeImage(takeImage(image, 'image', false) as UnencodedImage, {}))();
    await expect(decoding).rejects.toMatchObject({
      name: 'XgenmmError',
      code,
      message: expect.stringMatching(message),
    });
  });

  test('a header that promises too many pixels', async () => {
    const huge = '<svg xmlns="http://www.w3.org/2000/svg" width="20000" height="20000"/>';
    await expect(decodeImage(Buffer.from(huge), {})).rejects.toMatchObject({
      code: 'ERR_XGENMM_IMAGE_LIMIT',
    });
  });
});
