/** Characters that a terminal takes at a time. */
const CHUNK = 4096;

/** What shows a PNG file in so many rows of text by Kitty's protocol; the cursor ends behind its last row. */
export function kittyPicture(png: Uint8Array, rows: number): string {
  const data = Buffer.from(png).toString('base64');
  let stream = '';
  for (let start = 0; start < data.length; start += CHUNK) {
    const more = start + CHUNK < data.length ? 1 : 0;
    // q=2: no reply, which nobody would read.
    const control = start === 0 ? `a=T,f=100,r=${rows},q=2,m=${more}` : `q=2,m=${more}`;
    stream += `\x1b_G${control};${data.slice(start, start + CHUNK)}\x1b\\`;
  }
  return stream;
}
