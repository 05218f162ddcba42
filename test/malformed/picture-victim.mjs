// Encodes each picture that it is told (base64), also counts its tokens, and reports how that went.
import { loadModel } from 'xgen-mm';

const model = await loadModel(process.argv[2], { threads: 1 });

async function use(bytes) {
  const encoded = await model.encodeImage(bytes);
  const counted = await model.countTokens([{ image: bytes }]);
  if (counted !== encoded.tokenCount)
    throw new Error(`counted ${counted} tokens, encoded ${encoded.tokenCount}`);
  if (!encoded.embeddings.every(Number.isFinite)) throw new Error('embeddings that are not finite');
}

process.on('message', async (base64) => {
  const outcome = await use(Buffer.from(base64, 'base64')).then(
    () => 'fine',
    ({ code, message }) => ({ code, message }),
  );
  process.send(outcome);
});
process.send('ready');
