import { crc32 } from 'node:zlib';
import sharp, { type Sharp } from 'sharp';
import { Random } from '../random.js';

/** A broken or hostile picture. */
export interface Picture {
  name: string;
  bytes: Buffer;
  /** Whether it must be refused, or may also be read as far as it goes. */
  fatal: boolean;
}

const SIDE = 48;

/** The same sound picture in many formats. */
export async function soundPictures(): Promise<Picture[]> {
  const random = new Random(5);
  const noise = Buffer.from(Array.from({ length: SIDE * SIDE * 4 }, () => random.below(256)));
  const rgba = sharp(noise, { raw: { width: SIDE, height: SIDE, channels: 4 } });
  const rgb = rgba.clone().removeAlpha();
  const formats: Record<string, Sharp> = {
    PNG: rgb.clone().png(),
    'PNG with alpha': rgba.clone().png(),
    'PNG with a palette': rgb.clone().png({ palette: true }),
    'interlaced PNG': rgb.clone().png({ progressive: true }),
    JPEG: rgb.clone().jpeg(),
    'progressive JPEG': rgb.clone().jpeg({ progressive: true }),
    'turned JPEG': rgb.clone().withMetadata({ orientation: 6 }).jpeg(),
    'CMYK JPEG': rgb.clone().toColourspace('cmyk').jpeg(),
    WebP: rgb.clone().webp(),
    'lossless WebP': rgba.clone().webp({ lossless: true }),
    GIF: rgb.clone().gif(),
    TIFF: rgb.clone().tiff({ compression: 'none' }),
    'LZW TIFF': rgba.clone().tiff({ compression: 'lzw' }),
    'JPEG TIFF': rgb.clone().tiff({ compression: 'jpeg' }),
    AVIF: rgb.clone().avif({ effort: 0 }),
  };
  const pictures = Object.entries(formats).map(async ([name, format]) => ({
    name,
    bytes: await format.toBuffer(),
    fatal: false,
  }));
  return [
    ...(await Promise.all(pictures)),
    { name: 'SVG', bytes: svg('<circle cx="9" cy="9" r="5"/>'), fatal: false },
  ];
}

/** Cut off, and with bytes flipped. */
export function* damaged({ name, bytes }: Picture): Generator<Picture> {
  for (let eighths = 0; eighths < 8; eighths++) {
    const end = 1 + Math.floor(((bytes.length - 2) * eighths) / 8);
    yield { name: `${name} of ${end} bytes`, bytes: bytes.subarray(0, end), fatal: true };
  }
  const random = new Random(6);
  for (let i = 0; i < 12; i++) {
    const copy = Buffer.from(bytes);
    const end = i % 2 === 0 ? Math.min(64, bytes.length) : bytes.length;
    for (let flips = 0; flips < 1 + i; flips++) copy[random.below(end)] = random.below(256);
    yield { name: `${name} with flipped bytes, ${i}`, bytes: copy, fatal: false };
  }
}

/** Headers that promise more pixels than anyone has, or none. */
export async function* absurdSizes(): AsyncGenerator<Picture> {
  const base = sharp({ create: { width: 8, height: 8, channels: 3, background: '#123' } });
  const png = await base.clone().png().toBuffer();
  const jpeg = await base.clone().jpeg().toBuffer();
  const gif = await base.clone().gif().toBuffer();
  const sizes: [number, number][] = [
    [0, 0],
    [0, 8],
    [8, 0],
    [2 ** 31 - 1, 2 ** 31 - 1],
    [2 ** 32 - 1, 1],
    [65535, 65535],
  ];
  for (const [width, height] of [...sizes, [1, 2 ** 20], [16384, 16384]] as const) {
    const copy = Buffer.from(png);
    copy.writeUInt32BE(width, 16);
    copy.writeUInt32BE(height, 20);
    copy.writeUInt32BE(crc32(copy.subarray(12, 29)), 29);
    yield { name: `PNG of ${width} x ${height}`, bytes: copy, fatal: true };
  }
  const frame = jpeg.indexOf(Buffer.of(0xff, 0xc0));
  for (const [width, height] of [
    [0, 0],
    [65535, 65535],
    [1, 65535],
  ] as const) {
    const copy = Buffer.from(jpeg);
    copy.writeUInt16BE(height, frame + 5);
    copy.writeUInt16BE(width, frame + 7);
    yield { name: `JPEG of ${width} x ${height}`, bytes: copy, fatal: true };
    const screen = Buffer.from(gif);
    screen.writeUInt16LE(width, 6);
    screen.writeUInt16LE(height, 8);
    yield { name: `GIF of ${width} x ${height}`, bytes: screen, fatal: false };
  }
  for (const size of ['0', '-5', '1e9', '1e300', 'NaN', '1000000000%', '99999999in']) {
    yield { name: `SVG of ${size}`, bytes: svg('<circle r="9"/>', size), fatal: false };
  }
}

/** SVG that reaches out of its file or asks for more than it is worth. */
export function* hostileSvg(): Generator<Picture> {
  const entities = Array.from({ length: 12 }, (_, i) => `<!ENTITY e${i + 1} "${`&e${i};`.repeat(10)}">`).join(
    '',
  );
  const laughs = `<!DOCTYPE svg [<!ENTITY e0 "ha">${entities}]><svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><text>&e12;</text></svg>`;
  const file = (entity: string) =>
    `<!DOCTYPE svg [<!ENTITY x SYSTEM "${entity}">]><svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><text>&x;</text></svg>`;
  const uses = Array.from(
    { length: 12 },
    (_, i) => `<g id="u${i + 1}"><use href="#u${i}"/><use href="#u${i}"/></g>`,
  );
  const documents: Record<string, string | Buffer> = {
    'a billion laughs': laughs,
    'a file as entity': file('file:///etc/passwd'),
    'a device as entity': file('file:///dev/zero'),
    'a host as entity': file('http://127.0.0.1:9/x'),
    'a file as picture': svg('<image href="file:///etc/passwd" width="9" height="9"/>'),
    'a device as picture': svg('<image href="file:///dev/zero" width="9" height="9"/>'),
    'a host as picture': svg('<image href="http://127.0.0.1:9/x.png" width="9" height="9"/>'),
    'a host as style': svg('<style>@import url("http://127.0.0.1:9/x.css");</style><circle r="9"/>'),
    'a script': svg('<script>while (true);</script><circle r="9"/>'),
    'an inclusion': svg('<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="file:///etc/passwd"/>'),
    itself: svg('<g id="a"><use href="#a"/></g>'),
    'doubled 12 times': svg(`<g id="u0"><circle r="9"/></g>${uses.join('')}`),
    'nested deeply': svg('<g>'.repeat(100_000) + '</g>'.repeat(100_000)),
    'a wide blur': svg(
      '<filter id="f"><feGaussianBlur stdDeviation="1e9"/></filter><rect width="9" height="9" filter="url(#f)"/>',
    ),
    'a fine pattern': svg(
      '<pattern id="p" width="1e-9" height="1e-9" patternUnits="userSpaceOnUse"><circle r="1"/></pattern><rect width="48" height="48" fill="url(#p)"/>',
    ),
    'fine dashes': svg('<line x2="1e9" y2="1e9" stroke="red" stroke-dasharray="1e-6"/>'),
    'huge numbers': svg(`<path d="M0 0${' L1e308 -1e308'.repeat(1000)}z"/>`),
    'no end': '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><g>',
    'no size': '<svg xmlns="http://www.w3.org/2000/svg"/>',
    'an empty attribute': '<svg xmlns="http://www.w3.org/2000/svg" width="" height="" viewBox=""/>',
  };
  for (const [what, text] of Object.entries(documents)) {
    yield { name: `SVG: ${what}`, bytes: Buffer.from(text), fatal: false };
  }
}

/** Files that are no pictures, or of kinds that are not read. */
export function* otherFiles(): Generator<Picture> {
  const files: Record<string, Buffer | string> = {
    nothing: '',
    'one byte': 'x',
    text: 'Once upon a time there was a picture.\n',
    HTML: '<!doctype html><title>no</title>',
    XML: '<?xml version="1.0"?><a/>',
    JSON: '{"width": 8, "height": 8}',
    zeros: Buffer.alloc(1 << 20),
    'a GGUF file': Buffer.concat([Buffer.from('GGUF'), Buffer.alloc(64)]),
    PPM: Buffer.concat([Buffer.from('P6 2 2 255\n'), Buffer.alloc(12)]),
    PDF: '%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF',
    BMP: Buffer.from(`BM${'\0'.repeat(100)}`),
    ICO: Buffer.of(0, 0, 1, 0, 1, 0, 16, 16, 0, 0, 1, 0, 32, 0, 68, 4, 0, 0, 22, 0, 0, 0),
    FITS: 'SIMPLE  =                    T'.padEnd(2880),
    CSV: '1,2,3\n4,5,6\n',
    ZIP: Buffer.from('504b0304', 'hex'),
    'a PNG signature': Buffer.from('89504e470d0a1a0a', 'hex'),
    'a JPEG signature': Buffer.from('ffd8ff', 'hex'),
    'a TIFF that refers to itself': Buffer.from('49492a0008000000000008000000', 'hex'),
  };
  for (const [name, bytes] of Object.entries(files)) yield { name, bytes: Buffer.from(bytes), fatal: true };
}

function svg(body: string, size = `${SIDE}`): Buffer {
  return Buffer.from(
    `<svg xmlns="http://www.w3.org/2000/svg" width="${size}" height="${size}">${body}</svg>`,
  );
}
