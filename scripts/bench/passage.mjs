// A model with random weights copies nothing by itself: here its answer is forced, token by token, by what is added to its logits. What is
// computed is the same as if it had wanted to.

/** @typedef {Pick<import('../../dist/index.js').Model, 'tokenize' | 'detokenize' | 'info'>} Tokenizer */

/**
 * At most `count` tokens, no two the same, that are words with a space in front and the tokens of what they spell.
 * @param {Tokenizer} model
 * @param {number} count
 */
export function distinctWords(model, count) {
  /** @type {{ token: number, text: string }[]} */
  const words = [];
  for (let token = 0; token < model.info.vocabSize && words.length < count; token++) {
    const text = ` ${model.detokenize([token]).trim()}`;
    if (!/^ [a-z]{2,}$/i.test(text)) continue;
    // Behind another word: a text's first one is split in its own way.
    const tokens = model.tokenize(`The${text}`);
    if (tokens.at(-1) === token && tokens.length === model.tokenize('The').length + 1)
      words.push({ token, text });
  }
  return words;
}

/**
 * Sampling options with which any model says just these tokens, over and over.
 * @param {{ token: number }[]} words
 */
export function forcing(words) {
  const logitBias = Object.fromEntries(words.map(({ token }, index) => [token, 1e6 - 100 * index]));
  return { logitBias, frequencyPenalty: 1000 * words.length };
}
