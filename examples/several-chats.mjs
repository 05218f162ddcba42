// Several conversations at once over one model: it reads its weights once per step for all of them, and their pieces come
// interleaved. `maxSequences` is how many are kept in memory at the same time; more would wait their turn.
//
//   node examples/several-chats.mjs model.gguf
import { loadModel } from 'xgen-mm';

const conversations = {
  'street.jpg': ['What is going on here?', 'And which colours do you see?'],
  'balloon.png': ['What is this?', 'Where would you find one?'],
  'table-before.webp': ['What is on the table?', 'What could one do with it?'],
};

const model = await loadModel(process.argv[2], { maxSequences: 3 });
try {
  await Promise.all(Object.entries(conversations).map(([name, questions]) => converse(name, questions)));
} finally {
  await model.dispose();
}

async function converse(name, [first, ...others]) {
  const chat = model.chat();
  const image = new URL(`pictures/${name}`, import.meta.url);
  for (const content of [[{ image }, first], ...others]) {
    for await (const piece of chat.stream(content, { maxTokens: 60 })) {
      console.log(`${name}: ${JSON.stringify(piece)}`);
    }
  }
}
