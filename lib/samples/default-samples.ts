import type { Pixels } from '../image.js';

/** What models are run on when nobody names a text: prose, facts, instructions, a dialogue, a program, numbers. */
export const DEFAULT_TEXTS: readonly string[] = [
  `The ferry left the harbour at a quarter past six, when the fog still lay between the islands and the lamps on the pier were burning.
Only a handful of people had come on board: two fishermen with a crate of ice, a teacher on her way to the school on the far side of the
sound, and an old man who carried a clock under his arm. He sat down by the window, set the clock on the table in front of him and wound
it up. "It has to be there before noon," he said when the teacher looked at it, "otherwise the church will ring at the wrong time."
Nobody laughed. The engine hummed, gulls followed the wake, and slowly the shore turned from grey to green.`,

  `Water boils at 100 degrees Celsius at sea level, but at an altitude of 3,000 metres it boils at about 90 degrees, because the air presses
less on its surface. That is why rice takes longer to cook in the mountains. A pressure cooker does the opposite: it keeps the steam in,
the pressure rises, and the water gets hotter than it could in an open pot. Salt changes the boiling point too, though far less than most
cooks believe: a spoonful in a litre raises it by a fraction of a degree.`,

  `Question: How do I change the tyre of a bicycle?
Answer: 1. Turn the bicycle over and open the quick release of the wheel. 2. Let out what air is left, and lift one side of the tyre over
the rim with two levers. 3. Pull out the tube and feel along the inside of the tyre for glass or thorns. 4. Put a little air into the new
tube, lay it into the tyre, and press the tyre back with your thumbs, beginning at the valve. 5. Pump it up, and check that it sits evenly.

Question: What does a picture of a red car under two palm trees probably show?
Answer: A street or a beach in a warm country. The car is parked or drives slowly; the trees suggest the coast.`,

  `function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

| month    | rain (mm) | sun (h) |
|----------|-----------|---------|
| January  | 71        | 48      |
| April    | 42        | 171     |
| July     | 63        | 214     |
| October  | 58        | 109     |`,
];

/** What models are run on when nobody names a picture: drawn, so that no photograph's rights are in question. */
export function drawDefaultPictures(): Pixels[] {
  return [landscape(640, 420), shapes(448, 448), stripes(300, 620)];
}

/** Red, green and blue, 0 to 255. */
type Colour = readonly [number, number, number];

function draw(width: number, height: number, colourAt: (x: number, y: number) => Colour): Pixels {
  const data = new Uint8Array(3 * width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) data.set(colourAt(x, y), 3 * (y * width + x));
  }
  return { data, width, height };
}

/** Hills under a sky with a sun. */
function landscape(width: number, height: number): Pixels {
  return draw(width, height, (x, y) => {
    const near = 0.75 * height + 22 * Math.sin(x / 47) + 9 * Math.sin(x / 13);
    const far = 0.58 * height + 38 * Math.sin(1 + x / 90);
    if (y > near) return [46 + ((7 * x + 13 * y) % 23), 110 + ((5 * x + 3 * y) % 31), 52];
    if (y > far) return [96, 140 - (60 * (y - far)) / height, 128];
    if (Math.hypot(x - 0.78 * width, y - 0.2 * height) < 36) return [255, 214, 92];
    const haze = y / far;
    return [110 + 120 * haze, 170 + 70 * haze, 235];
  });
}

/** A disc, a square and a triangle on a board. */
function shapes(width: number, height: number): Pixels {
  return draw(width, height, (x, y) => {
    if (Math.hypot(x - 130, y - 130) < 80) return [205, 38, 44];
    if (Math.max(Math.abs(x - 320), Math.abs(y - 140)) < 72) return [32, 92, 190];
    if (y > 250 && y < 410 && Math.abs(x - 224) < 0.6 * (y - 250)) return [236, 176, 24];
    return (Math.floor(x / 28) + Math.floor(y / 28)) % 2 === 0 ? [238, 238, 232] : [214, 216, 210];
  });
}

/** Stripes that grow finer downwards. */
function stripes(width: number, height: number): Pixels {
  return draw(width, height, (x, y) => {
    const period = 64 - (56 * y) / height;
    return (x + 0.35 * y) % period < period / 2 ? [24, 30, 48] : [230, 120 + (100 * x) / width, 70];
  });
}
