// npm run demo: three pictures through the whole machinery, with the tiny random checkpoint that the tests use.
import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const DEMOS = [
  { picture: 'street.jpg', question: 'What does the sign say?' },
  { picture: 'balloon.png', question: 'Which colours does this balloon have?', background: 'white' },
  { picture: 'table-before.webp', question: 'What is on the table?' },
];

const print = (line = '') => process.stdout.write(`${line}\n`);
const ms = (time) => `${time.toFixed(time < 10 ? 1 : 0)} ms`;

if (!existsSync(join(root, 'dist', 'index.js'))) {
  process.stderr.write('The demo needs the package to be built first: run `npm ci`, then `npm run demo`.\n');
  process.exit(1);
}
const { loadModel } = await import('../dist/index.js');
const { convert } = await import('../dist/convert/convert.js');
const { visible } = await import('../dist/cli/visible.js');

print('xgen-mm: three pictures, three questions');
print();
print(
  'PLEASE NOTE: the model in this demo is a tiny checkpoint with RANDOM weights, so its answers are noise.',
);
print('What it shows is the machinery: conversion, picture decoding, tiling, vision tower, resampler,');
print('language model and streaming are those that run a real xGen-MM checkpoint.');
print();

const file = join(root, 'build', 'demo', 'tiny.gguf');
mkdirSync(dirname(file), { recursive: true });
let start = performance.now();
const { bytes } = await convert(join(root, 'test', 'fixtures', 'tiny'), file, {
  type: 'f16',
  variant: 'instruct-interleave',
});
print(
  `Converted a Hugging Face folder to one GGUF file of ${(bytes / 1e6).toFixed(1)} MB in ${ms(performance.now() - start)}.`,
);

start = performance.now();
const model = await loadModel(file);
try {
  print(
    `Loaded it in ${ms(performance.now() - start)}: ${model.info.device}, ${model.info.threads} threads.`,
  );
  for (const demo of DEMOS) await show(model, demo);
} finally {
  await model.dispose();
}

print();
print('What to do next');
print('  1. Get a model of the family (the README lists all four):');
print('     npx xgen-mm pull Salesforce/xgen-mm-phi3-mini-instruct-interleave-r-v1.5 --output model.gguf');
print('  2. npx xgen-mm ask model.gguf --image photo.jpg "What is in this picture?"');
print('Short programs that use the API are in examples/.');

async function show(model, { picture, question, background }) {
  const image = join(root, 'examples', 'pictures', picture);
  print();
  print(`examples/pictures/${picture}`);
  print(`  question  ${question}`);
  process.stdout.write('  answer    ');
  const stream = model.chat().stream([{ image, background }, question], { maxTokens: 24 });
  for await (const piece of stream) process.stdout.write(visible(piece));
  const { usage, timings } = await stream.answer();
  print();
  print(
    `  picture   ${usage.imageTokens} embeddings: decode ${ms(timings.decode)}, tiles ${ms(timings.preprocess)}, ` +
      `vision tower ${ms(timings.vision)}, resampler ${ms(timings.resample)}`,
  );
  print(
    `  text      ${usage.promptTokens} positions read in ${ms(timings.prefill)}, ` +
      `${usage.completionTokens} tokens written in ${ms(timings.generate)}`,
  );
}
