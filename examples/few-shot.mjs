// The base model knows no chat: it continues a prompt. Solved examples show it what is wanted; `<|endofchunk|>` ends each.
//
//   node examples/few-shot.mjs base-model.gguf
import { loadModel } from 'xgen-mm';

const picture = (name) => ({ image: new URL(`pictures/${name}`, import.meta.url) });
const end = { special: '<|endofchunk|>' };

const model = await loadModel(process.argv[2]);
try {
  const prompt = [
    ...[picture('street.jpg'), 'The picture shows a red car in front of a cafe.', end],
    ...[picture('table-before.webp'), 'The picture shows an apple and a cup on a table.', end],
    ...[picture('balloon.png'), 'The picture shows'],
  ];
  const { text } = await model.complete(prompt, { maxTokens: 30, stop: '\n' });
  console.log(`The picture shows${text}`);
} finally {
  await model.dispose();
}
