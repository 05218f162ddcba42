// The shortest way from a picture to an answer: load, ask, dispose.
//
//   node examples/describe.mjs model.gguf [picture]
import { loadModel } from 'xgen-mm';

const [file, picture = new URL('pictures/street.jpg', import.meta.url)] = process.argv.slice(2);

const model = await loadModel(file);
try {
  const { text } = await model.chat().ask([{ image: picture }, 'Describe this picture.'], { maxTokens: 200 });
  console.log(text);
} finally {
  await model.dispose();
}
