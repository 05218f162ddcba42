import assert from 'node:assert/strict';
import { setTimeout } from 'node:timers/promises';
import { converse } from './conversation.mjs';
import { take } from './manner.mjs';
import { drawContent, drawMode, drawOptions } from './questions.mjs';
import { assertSame, assertSameNumbers } from './same.mjs';

/**
 * What a user may do. Each takes the model under test, the reference (a model of the same file, asked one thing at a time), random
 * choices, pictures and a tally; each throws if something is not as it should be.
 */
export const SCENARIOS = { complete, converse, encode, score, refuse };

async function complete({ model, reference, random, pictures, tally }) {
  const content = drawContent(random, pictures);
  const options = { ...drawOptions(random), ...(random.once(4) && { stop: ['e', 'on'] }) };
  const { answer, error } = await take(
    (signal) => model.stream(content, { ...options, signal }),
    random,
    tally,
  );
  if (error !== undefined) return assertOverflow(error, tally);
  if (answer === undefined) return;
  const expected = await reference.use((alone) => alone.complete(content, options));
  assertSame(answer, expected);
}

async function encode({ model, reference, random, pictures, tally }) {
  const image = random.pick(pictures);
  const mode = drawMode(random);
  const controller = new AbortController();
  tally.requests++;
  const encoding = model.encodeImage(image, { mode, signal: controller.signal });
  const delay = setTimeout(random.below(20));
  if (random.once(3)) delay.then(() => controller.abort('stop'));
  const encoded = await encoding.catch((reason) => assert.equal(reason, 'stop'));
  if (encoded === undefined) {
    tally.cancelled++;
    return;
  }
  const expected = await reference.use((alone) => alone.encodeImage(image, { mode }));
  assertSameNumbers(encoded.embeddings, expected.embeddings, 'embeddings');
}

async function score({ model, reference, random, pictures, tally }) {
  const content = drawContent(random, pictures);
  const last = 1 + random.below(4);
  tally.requests++;
  const scored = await model.logits(content, { last }).catch((error) => assertOverflow(error, tally));
  if (scored === undefined) return;
  const expected = await reference.use((alone) => alone.logits(content, { last }));
  assertSameNumbers(scored.logits, expected.logits, 'logits');
  assert.equal(scored.tokens.length, await model.countTokens(content), 'countTokens() is wrong');
  const text = 'A red car, 三, 🎈';
  assert.equal(model.detokenize(model.tokenize(text)).trim(), text);
}

/** What cannot be answered is refused, and leaves nothing behind. */
async function refuse({ model, random, tally }) {
  const broken = model.complete([{ image: Buffer.from('no picture') }, 'What is it?']);
  await assert.rejects(broken, { code: 'ERR_XGENMM_IMAGE_DECODE' });
  const long = model.chat().ask('hello '.repeat(model.info.contextSize));
  await assert.rejects(long, { code: 'ERR_XGENMM_CONTEXT_OVERFLOW' });
  const chat = model.chat();
  const stream = chat.stream('Tell me a story.', { maxTokens: 20 });
  assert.throws(() => chat.stream('And?'), { code: 'ERR_XGENMM_BUSY' });
  if (random.once(2)) await stream.answer();
  tally.requests += 4;
  tally.refused += 3;
}

function assertOverflow(error, tally) {
  assert.equal(error.code, 'ERR_XGENMM_CONTEXT_OVERFLOW', error.message);
  tally.refused++;
}
