// Two pictures in one question, in the order in which they are mentioned.
//
//   node examples/compare.mjs model.gguf [before after]
import { loadModel } from 'xgen-mm';

const [
  file,
  before = new URL('pictures/table-before.webp', import.meta.url),
  after = new URL('pictures/table-after.webp', import.meta.url),
] = process.argv.slice(2);

const model = await loadModel(file);
try {
  const question = ['Before: ', { image: before }, 'After: ', { image: after }, 'What has changed?'];
  const { text, usage } = await model.chat().ask(question, { maxTokens: 200 });
  console.log(text);
  console.log(`[${usage.promptTokens} positions, ${usage.imageTokens} of them the two pictures]`);
} finally {
  await model.dispose();
}
