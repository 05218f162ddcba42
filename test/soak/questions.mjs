import sharp from 'sharp';

const TEXTS = [
  'What is in this picture?',
  'Tell me a long story about a lantern, a railway and a cat.',
  'Zähle: один, два, 三, четыре 🎈.',
  'And now in one word.',
  'List what you see. '.repeat(8),
  ' leading space, trailing space ',
];
const MODES = [undefined, 'anyres', 'squash', 'pad'];
const SAMPLINGS = [
  {},
  {},
  { temperature: 0.8 },
  { temperature: 1.3, topK: 40, topP: 0.9 },
  { temperature: 1, minP: 0.05, repetitionPenalty: 1.2 },
  { presencePenalty: 0.5, frequencyPenalty: 0.25 },
  { noRepeatNgramSize: 3, minTokens: 4, logprobs: 2 },
  { temperature: 0.5, logitBias: { 5: -Infinity, 20: 2 } },
];

/** Pictures of several sizes and kinds; few enough that their embeddings, which the model keeps, do not count as growth. */
export async function drawPictures(random) {
  const sizes = [
    [1, 1],
    [20, 33],
    [80, 80],
    [300, 40],
    [120, 500],
    [640, 480],
  ];
  return Promise.all(
    sizes.map(async ([width, height], index) => {
      const channels = 3 + (index % 2);
      const data = Uint8Array.from({ length: width * height * channels }, () => random.below(256));
      const raw = { data, width, height, channels };
      return index % 3 === 0 ? sharp(data, { raw }).png().toBuffer() : raw;
    }),
  );
}

/** Random text and up to two pictures, in any order. */
export function drawContent(random, pictures) {
  const parts = Array.from({ length: 1 + random.below(3) }, () =>
    random.once(2) ? random.pick(TEXTS) : { image: random.pick(pictures), mode: random.pick(MODES) },
  );
  return [...parts, random.pick(TEXTS)].slice(-3);
}

export function drawMode(random) {
  return random.pick(MODES);
}

/** Options of an answer that make it come out the same each time. */
export function drawOptions(random) {
  return { maxTokens: 4 + random.below(60), seed: random.below(1000), ...random.pick(SAMPLINGS) };
}
