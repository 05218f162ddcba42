// What the model would say next, with probabilities: for scoring, classification or a sampler of your own.
//
//   node examples/next-token.mjs model.gguf [picture]
import { loadModel } from 'xgen-mm';

const [file, picture = new URL('pictures/balloon.png', import.meta.url)] = process.argv.slice(2);

const model = await loadModel(file);
try {
  const { logits } = await model.logits([{ image: picture }, 'A picture of a'], { last: 1 });
  const highest = logits.reduce((a, b) => Math.max(a, b));
  const weights = logits.map((logit) => Math.exp(logit - highest));
  const total = weights.reduce((a, b) => a + b);
  const likeliest = [...weights.keys()].sort((a, b) => weights[b] - weights[a]).slice(0, 5);
  for (const token of likeliest) {
    const percent = (100 * weights[token]) / total;
    console.log(
      `${percent.toFixed(1).padStart(5)} %  ${JSON.stringify(model.detokenize([token]))} (token ${token})`,
    );
  }
} finally {
  await model.dispose();
}
