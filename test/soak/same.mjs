import assert from 'node:assert/strict';

/** An answer, or as much of it as there is, against the one that the reference gave. */
export function assertSame(answer, expected) {
  if (answer.finishReason === 'cancelled') {
    const beginning = expected.tokens.subarray(0, answer.tokens.length);
    assert.deepEqual(answer.tokens, beginning, 'a cancelled answer begins in another way');
    return;
  }
  const essence = ({ text, tokens, finishReason, logprobs }) => ({ text, tokens, finishReason, logprobs });
  assert.deepEqual(
    essence(answer),
    essence(expected),
    'an answer is another than the same prompt gets alone',
  );
}

export function assertSameNumbers(received, expected, what) {
  const bytes = (array) => Buffer.from(array.buffer, array.byteOffset, array.byteLength);
  assert.ok(bytes(received).equals(bytes(expected)), `${what} are others than those computed alone`);
}
