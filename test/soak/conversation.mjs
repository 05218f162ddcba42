import assert from 'node:assert/strict';
import { PATIENT, take } from './manner.mjs';
import { drawContent, drawOptions } from './questions.mjs';
import { assertSame } from './same.mjs';

/** A chat of several turns, some of them given up, which may go on in two ways from any point; each is replayed by the reference. */
export async function converse(world) {
  const settings = { overflow: world.random.pick(['error', 'drop-oldest']) };
  await goOn(world, world.model.chat(settings), settings, [], 1 + world.random.below(5));
}

/** `turns`: those that the chat has had. */
async function goOn(world, chat, settings, turns, count) {
  const { random, pictures, tally } = world;
  // What `drop-oldest` forgets depends on maxTokens, by which the replay cuts an answer where it was given up.
  const manners = settings.overflow === 'drop-oldest' ? PATIENT : undefined;
  const forks = [];
  for (; count > 0; count--) {
    // A name of its own shows whether a turn has stayed.
    const content = [...drawContent(random, pictures), ` (question ${tally.turns++})`];
    const options = drawOptions(random);
    const start = (signal) => chat.stream(content, { ...options, signal });
    const { answer, error } = await take(start, random, tally, manners);
    if (error !== undefined) {
      assert.equal(error.code, 'ERR_XGENMM_CONTEXT_OVERFLOW', error.message);
      tally.refused++;
    }
    const last = chat.history.at(-1);
    const stayed = last?.question.some((part) => typeof part === 'string' && part.endsWith(content.at(-1)));
    const shouldStay =
      answer !== undefined && (answer.finishReason !== 'cancelled' || answer.tokens.length > 0);
    if (answer !== undefined || error !== undefined) assert.equal(stayed ?? false, shouldStay, 'history');
    if (stayed) turns.push({ content, options, answer, last, tokenCount: chat.tokenCount });
    if (count > 1 && random.once(5)) {
      tally.forks++;
      forks.push(goOn({ ...world, random: random.split() }, chat.fork(), settings, [...turns], count - 1));
    }
  }
  await Promise.all([replay(world, settings, turns, chat), ...forks]);
}

async function replay({ reference }, settings, turns, chat) {
  await reference.use(async (alone) => {
    const twin = alone.chat(settings);
    for (const { content, options, answer, last, tokenCount } of turns) {
      // An abort may come when the answer has just ended by itself.
      const isWhole = last.finishReason !== 'cancelled';
      const limit = isWhole ? options.maxTokens : await tokensOf(twin, content, tokenCount);
      const minTokens = Math.min(options.minTokens ?? 0, limit);
      const expected = await twin.ask(content, { ...options, maxTokens: limit, minTokens });
      if (answer !== undefined) assertSame(answer, expected);
      assert.ok(expected.text.startsWith(last.text), 'the history has another text');
      assert.equal(tokenCount, twin.tokenCount, 'a turn takes another number of positions');
    }
    assert.equal(chat.history.length, twin.history.length, 'the history has another length');
  });
}

/** How many tokens of an answer that was given up are in a history of this length. */
async function tokensOf(twin, content, tokenCount) {
  const shorter = twin.fork();
  const { tokens } = await shorter.ask(content, { maxTokens: 1 });
  return tokenCount - (shorter.tokenCount - tokens.length);
}
