import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { modelFile } from '../files.js';
import { absurdSizes, damaged, hostileSvg, otherFiles, type Picture, soundPictures } from './pictures.js';
import { isAcceptable, Victim } from './victim.js';

const SOUND = await soundPictures();

let victim: Victim;
let tried = 0;
beforeAll(() => {
  victim = new Victim('picture-victim.mjs', 2000, [modelFile('tiny-f16')]);
});
afterAll(async () => expect(await victim.end()).toBe(0));

function encode(picture: Picture) {
  tried++;
  return victim.try(picture.bytes.toString('base64'));
}

async function expectHandled(pictures: Iterable<Picture> | AsyncIterable<Picture>): Promise<void> {
  const wrong: unknown[] = [];
  for await (const picture of pictures) {
    const outcome = await encode(picture);
    if (!isAcceptable(outcome) || (picture.fatal && outcome === 'fine')) wrong.push([picture.name, outcome]);
  }
  expect(wrong).toEqual([]);
}

describe.each(SOUND)('$name', (sound) => {
  test('sound', async () => expect(await encode(sound)).toBe('fine'));
  test('damaged', () => expectHandled(damaged(sound)));
});

test('absurd sizes', () => expectHandled(absurdSizes()));
test('hostile SVG', () => expectHandled(hostileSvg()));
test('other files', () => expectHandled(otherFiles()));

test('that were more than 200 broken pictures', () => {
  expect(tried - SOUND.length).toBeGreaterThan(200);
});
