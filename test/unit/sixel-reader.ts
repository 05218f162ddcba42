import type { RawImage } from '../../lib/index.js';

// biome-ignore lint/suspicious/noControlCharactersInRegex: that is how terminals speak
const STREAM = /^\x1bP0;1;q"1;1;(\d+);(\d+)(.*)\x1b\\$/s;
const COMMANDS = /#(\d+);2;(\d+);(\d+);(\d+)|#(\d+)|!(\d+)([?-~])|([?-~])|([$-])|\n/y;

/** The pixels, RGBA, that a terminal makes of a Sixel picture; strict about what it reads. */
export function readSixel(stream: string): RawImage {
  const found = STREAM.exec(stream);
  if (found === null) throw new Error('expected Sixel with its size');
  const [width, height, body] = [Number(found[1]), Number(found[2]), found[3] as string];
  const data = new Uint8Array(4 * width * height);
  const palette = new Map<string, number[]>();
  let [x, band, colour] = [0, 0, [0, 0, 0]];
  for (const [, defined, r, g, b, chosen, count, repeated, single, move] of commandsOf(body)) {
    if (defined !== undefined) {
      const levels = [r, g, b].map((percent) => Math.round(2.55 * Number(percent)));
      palette.set(defined, levels);
    }
    if (chosen !== undefined) colour = palette.get(chosen) as number[];
    const sixel = repeated ?? single;
    if (sixel !== undefined) {
      const bits = sixel.charCodeAt(0) - 63;
      for (let end = x + Number(count ?? 1); x < end; x++) {
        for (let row = 0; row < 6; row++) {
          const y = 6 * band + row;
          if (bits & (1 << row)) data.set([...colour, 255], 4 * (y * width + x));
        }
      }
    }
    if (move !== undefined) x = 0;
    if (move === '-') band++;
  }
  return { data, width, height, channels: 4 };
}

function commandsOf(body: string): RegExpExecArray[] {
  const commands: RegExpExecArray[] = [];
  for (let at = 0; at < body.length; ) {
    COMMANDS.lastIndex = at;
    const command = COMMANDS.exec(body);
    if (command === null) throw new Error(`expected Sixel, received ${body.slice(at, at + 20)}`);
    commands.push(command);
    at = COMMANDS.lastIndex;
  }
  return commands;
}
