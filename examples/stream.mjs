// An answer printed while it is made, then a second question about the same picture, which the chat remembers.
//
//   node examples/stream.mjs model.gguf [picture]
import { loadModel } from 'xgen-mm';

const [file, picture = new URL('pictures/street.jpg', import.meta.url)] = process.argv.slice(2);

const model = await loadModel(file);
try {
  const chat = model.chat();
  await say(chat, [{ image: picture }, 'What is going on here?']);
  await say(chat, 'And which colours do you see?');
} finally {
  await model.dispose();
}

async function say(chat, content) {
  const stream = chat.stream(content, { maxTokens: 200 });
  for await (const piece of stream) process.stdout.write(piece);
  const { finishReason, usage } = await stream.answer();
  console.log(
    `\n[${finishReason} after ${usage.completionTokens} tokens; ${usage.cachedTokens} of the prompt were cached]`,
  );
}
