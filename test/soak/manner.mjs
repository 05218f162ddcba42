import assert from 'node:assert/strict';
import { setImmediate, setTimeout } from 'node:timers/promises';

/** The ways in which an answer is taken to its end. */
export const PATIENT = ['whole', 'pieces', 'busy'];

/**
 * Takes an answer in one of the ways that a program might: whole, in pieces, in pieces while it has other things to do, only its first
 * pieces, or until it loses interest. `start` begins it with a signal. What comes back has neither an answer nor an error if it was
 * aborted.
 */
export async function take(start, random, tally, manners = PATIENT.concat('left', 'aborted')) {
  const manner = random.pick(manners);
  const controller = new AbortController();
  tally.requests++;
  const stream = start(manner === 'aborted' ? controller.signal : undefined);
  try {
    if (manner === 'aborted') return await abort(stream, controller, random, tally);
    const wanted = manner === 'left' ? 1 + random.below(6) : Infinity;
    if (manner === 'whole') return { answer: await stream.answer() };
    const pieces = [];
    for await (const piece of stream) {
      assert.notEqual(piece, '', 'an empty piece');
      pieces.push(piece);
      if (pieces.length === wanted) break;
      if (manner === 'busy') await setTimeout(random.below(15));
    }
    const answer = await stream.answer();
    const joined = pieces.join('');
    if (answer.finishReason !== 'cancelled') {
      if (pieces.length < wanted) assert.equal(joined, answer.text, 'the pieces are not the text');
    } else {
      assert.equal(manner, 'left', 'an answer was cancelled that nobody had left');
      tally.cancelled++;
    }
    assert.ok(answer.text.startsWith(joined), 'the pieces are not the beginning of the text');
    return { answer };
  } catch (error) {
    if (error.code === undefined || error instanceof assert.AssertionError) throw error;
    return { error };
  }
}

async function abort(stream, controller, random, tally) {
  const reason = new Error('not interested any more');
  const answer = stream.answer().then(
    (answer) => ({ answer }),
    (error) => ({ error }),
  );
  const delay = random.below(40);
  await (delay === 0 ? undefined : delay < 5 ? setImmediate() : setTimeout(delay));
  controller.abort(reason);
  const ended = await answer;
  if (ended.error !== reason) {
    if (ended.error !== undefined) throw ended.error;
    return ended;
  }
  tally.cancelled++;
  return {};
}
