/** Words of one syllable or two, so that a text can be cut close to any length. */
const WORDS =
  ' and then the light on the water went slowly over to the other side of the town where two men sat';

/**
 * A text of `count` tokens that begins with `first`; where no text has just as many, of one or two less.
 * @param {Pick<import('../../dist/index.js').Model, 'tokenize'>} model
 * @param {number} count
 * @param {string} first
 */
export function textOfTokens(model, count, first) {
  let text = first;
  while (model.tokenize(text).length < count) text += WORDS;
  // Halving steps find the cut in few tokenisations: a longer text hardly ever has fewer tokens.
  let [short, long] = [1, text.length];
  while (short < long) {
    const middle = Math.ceil((short + long) / 2);
    if (model.tokenize(text.slice(0, middle)).length <= count) short = middle;
    else long = middle - 1;
  }
  return text.slice(0, short);
}
