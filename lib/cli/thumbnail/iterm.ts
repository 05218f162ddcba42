/** What shows a PNG file in so many rows of text by iTerm2's protocol; the cursor ends behind its last row. */
export function itermPicture(png: Uint8Array, rows: number): string {
  const settings = `inline=1;size=${png.length};width=auto;height=${rows};preserveAspectRatio=1`;
  return `\x1b]1337;File=${settings}:${Buffer.from(png).toString('base64')}\x07`;
}
