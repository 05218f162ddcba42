import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadModel } from '../../lib/index.js';
import { failure } from '../failure.js';
import { modelFile, picture } from '../files.js';
import { GgufFile } from '../gguf-file.js';
import { expectNoUnhandledRejections } from '../unit/rejections.js';
import { expectClose } from './tolerance.js';

expectNoUnhandledRejections();

describe('the context', () => {
  test('a prompt that passes it is refused, and the model goes on', async () => {
    const model = await loadModel(modelFile('tiny-f32'), { contextSize: 128, threads: 1 });
    const overflow = failure('ERR_XGENMM_CONTEXT_OVERFLOW', /160 positions.*128/);
    const long = 'x'.repeat(160);
    expect(await model.countTokens(long)).toBe(160);
    await expect(model.complete(long)).rejects.toEqual(overflow);
    await expect(model.logits(long)).rejects.toEqual(overflow);
    const chat = model.chat();
    await expect(chat.ask(long)).rejects.toEqual(failure('ERR_XGENMM_CONTEXT_OVERFLOW'));
    // Six pictures of 24 tokens.
    const pictures = Array.from({ length: 6 }, () => ({ image: picture('07_grey') }));
    await expect(model.complete(pictures)).rejects.toEqual(failure('ERR_XGENMM_CONTEXT_OVERFLOW'));

    expect(await chat.ask('Hm?', { maxTokens: 4 })).toMatchObject({ finishReason: 'length' });
    await model.dispose();
  });

  test('an answer ends where it is full', async () => {
    const model = await loadModel(modelFile('tiny-f32'), { contextSize: 128, threads: 1 });
    const prompt = 'x'.repeat(120);
    const positions = await model.countTokens(prompt);
    const answer = await model.complete(prompt);
    expect(answer).toMatchObject({ finishReason: 'context', usage: { promptTokens: positions } });
    // The last token takes no position: nothing comes after it.
    expect(answer.tokens.length).toBe(128 - positions + 1);
    expect(await model.complete('x'.repeat(127), { maxTokens: 9 })).toMatchObject({
      finishReason: 'context',
    });
    await model.dispose();
  });

  test('it is at most what the model was trained for', async () => {
    await expect(loadModel(modelFile('tiny-f32'), { contextSize: 4097 })).rejects.toEqual(
      failure('ERR_XGENMM_INVALID_ARGUMENT', /contextSize.*4096.*4097/),
    );
    await expect(loadModel(modelFile('tiny-f32'), { maxSequences: 257 })).rejects.toEqual(
      failure('ERR_XGENMM_INVALID_ARGUMENT', /256.*maxSequences/),
    );
  });
});

describe('kvType', () => {
  /** Largest change of the logits, measured with room to spare; f32 is exact. */
  test.each([
    { kvType: 'f32', bound: { absolute: 0, relative: 0 } },
    { kvType: 'f16', bound: { absolute: 0.15, relative: 1e-2 } },
    { kvType: 'q8_0', bound: { absolute: 1, relative: 5e-2 } },
  ] as const)('$kvType', async ({ kvType, bound }) => {
    const reference = await loadModel(modelFile('tiny-f32'), { threads: 1 });
    const model = await loadModel(modelFile('tiny-f32'), { kvType, threads: 1 });
    expect(reference.info.kvType).toBe('f32');
    expect(model.info.kvType).toBe(kvType);
    const content = ['Describe ', { image: picture() }, 'in one sentence.'];
    const { logits } = await model.logits(content);
    const expected = await reference.logits(content);
    expectClose(logits, expected.logits, bound);
    if (kvType !== 'f32') expect(logits).not.toEqual(expected.logits);
    await Promise.all([reference.dispose(), model.dispose()]);
  });

  test('auto is f16 for a file that is not F32', async () => {
    const model = await loadModel(modelFile('tiny-f16'), { threads: 1 });
    expect(model.info.kvType).toBe('f16');
    await model.dispose();
  });

  test('q8_0 needs heads of a multiple of 32', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'xgen-mm-'));
    try {
      const file = GgufFile.read(modelFile('tiny-f32'))
        .setU32('phi3.attention.head_count', 6)
        .setU32('phi3.attention.head_count_kv', 6)
        .setU32('phi3.rope.dimension_count', 16);
      const path = join(folder, 'heads-of-16.gguf');
      writeFileSync(path, file.serialise().bytes);
      await expect(loadModel(path, { kvType: 'q8_0' })).rejects.toEqual(
        failure('ERR_XGENMM_INVALID_ARGUMENT', /q8_0.*32.*16/),
      );
      const model = await loadModel(path, { kvType: 'f16', threads: 1 });
      expect((await model.complete('x', { maxTokens: 3 })).tokens).toHaveLength(3);
      await model.dispose();
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
