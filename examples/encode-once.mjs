// Encoding a picture is the expensive part of a short answer. Done once, the result goes into any number of chats.
//
//   node examples/encode-once.mjs model.gguf [picture]
import { loadModel } from 'xgen-mm';

const [file, picture = new URL('pictures/balloon.png', import.meta.url)] = process.argv.slice(2);

const model = await loadModel(file);
try {
  // The balloon's surroundings are transparent: make them white.
  const image = await model.encodeImage(picture, { background: 'white' });
  console.log(`${image.tokenCount} embeddings of ${image.width} numbers each`);
  for (const question of ['What is this?', 'Which colours does it have?', 'Where would you find one?']) {
    const { text, timings } = await model.chat().ask([{ image }, question], { maxTokens: 60 });
    console.log(`${question} (vision: ${timings.vision} ms)\n${text}`);
  }
} finally {
  await model.dispose();
}
