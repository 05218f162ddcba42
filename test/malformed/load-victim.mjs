// Loads each file that it is told, looks at a picture and says three tokens, and reports how that went.
import { loadModel } from 'xgen-mm';

const image = { data: new Uint8Array(40 * 30 * 3).fill(99), width: 40, height: 30, channels: 3 };

async function use(file) {
  const model = await loadModel(file, { threads: 1 });
  try {
    const text = 'Hm? <|end|> \n<image>';
    const content = model.info.imageMode === undefined ? text : [{ image }, text];
    await model.complete(content, { maxTokens: 3, parseSpecial: true });
  } finally {
    await model.dispose();
  }
}

process.on('message', async (file) => {
  const outcome = await use(file).then(
    () => 'fine',
    ({ code, message }) => ({ code, message }),
  );
  process.send(outcome);
});
process.send('ready');
