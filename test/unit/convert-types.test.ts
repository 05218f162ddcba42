import { createHash } from 'node:crypto';
import { open, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { convert } from '../../lib/convert/convert.js';
import { loadImportance } from '../../lib/convert/importance.js';
import { TEXT_TYPES, VISION_TYPES } from '../../lib/convert/mixture.js';
import { quantize } from '../../lib/convert/quantize.js';
import { loadModel } from '../../lib/index.js';
import { modelFile, picture, root } from '../files.js';
import { GgufFile } from '../gguf-file.js';
import { plainPhi3 } from '../golden/plain-phi3.js';
import { expectRefusal, TINY, temporaryFolder } from './checkpoint.js';
import { readGguf } from './gguf-reader.js';

const WIDE = join(root, 'build', 'fixtures', 'wide-src', 'wide');
const INTERLEAVE = { variant: 'instruct-interleave' } as const;

afterEach(() => vi.restoreAllMocks());

const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** ggml's numbers of the types of all tensors whose name fits, without repetitions. */
async function typesIn(path: string, pattern: RegExp): Promise<number[]> {
  const { tensors } = await readGguf(path);
  const types = [...tensors].filter(([name]) => pattern.test(name)).map(([, { type }]) => type);
  return [...new Set(types)].toSorted((a, b) => a - b);
}

test.each(TEXT_TYPES)('%s: a model of real head sizes loads, sees and answers', async (type) => {
  const output = join(await temporaryFolder(), 'wide.gguf');
  await convert(WIDE, output, { type, ...INTERLEAVE });
  const model = await loadModel(output, { threads: 1, contextSize: 512 });
  try {
    const answer = await model
      .chat()
      .ask([{ image: picture(), mode: 'squash' }, 'What is this?'], { maxTokens: 4 });
    expect(answer.usage.imageTokens).toBe(16);
    expect(answer.tokens.length + (answer.finishReason === 'stop' ? 1 : 0)).toBeGreaterThan(0);
  } finally {
    await model.dispose();
  }
});

test.each(TEXT_TYPES)('%s: quantising the f32 file gives the same bytes as converting', async (type) => {
  const folder = await temporaryFolder();
  await convert(WIDE, join(folder, 'direct.gguf'), { type, ...INTERLEAVE });
  await quantize(modelFile('wide-f32'), join(folder, 'later.gguf'), { type });
  expect(digest(await readFile(join(folder, 'later.gguf')))).toBe(
    digest(await readFile(join(folder, 'direct.gguf'))),
  );
});

test.each(VISION_TYPES)('the vision part in %s under text in q4_k_m', async (vision) => {
  const output = join(await temporaryFolder(), 'wide.gguf');
  const { types } = await convert(WIDE, output, { type: 'q4_k_m', vision, resampler: 'bf16', ...INTERLEAVE });
  expect(types).toEqual({ text: 'q4_k_m', vision, resampler: 'bf16' });
  const number = { f32: 0, f16: 1, bf16: 30, q8_0: 8, q4_0: 2 }[vision];
  expect(await typesIn(output, /^v\.blk\..*(attn_.*|ffn_.*)\.weight$/)).toEqual([number]);
  expect(await typesIn(output, /^resampler\..*(attn_.*|ffn_(up|down)|proj)\.weight$/)).toEqual([30]);
  expect(await typesIn(output, /^blk\..*attn_output\.weight$/)).toEqual([12]);
  expect(await typesIn(output, /(bias|norm.*|ln\d\.weight|latents|position_embd\.weight)$/)).toEqual([0]);
});

describe('the vision part alone', () => {
  test('goes with a plain phi3 file, and needs no tokenizer', async () => {
    const folder = await temporaryFolder();
    const vision = join(folder, 'vision.gguf');
    const text = join(folder, 'text.gguf');
    const { tensors } = await convert(TINY, vision, { type: 'f32', part: 'vision', ...INTERLEAVE });
    expect(new Set(tensors.map(({ part }) => part))).toEqual(new Set(['vision', 'resampler']));
    await writeFile(text, plainPhi3().serialise().bytes);
    const content = ['Describe ', { image: picture() }];
    const logits = async (visionPath: string) => {
      const model = await loadModel({ text, vision: visionPath }, { threads: 1 });
      const result = await model.logits(content);
      await model.dispose();
      return result.logits;
    };
    expect(await logits(vision)).toEqual(await logits(modelFile('tiny-f32')));
  });

  test('has no keys of the text, and the file type of its own', async () => {
    const vision = join(await temporaryFolder(), 'vision.gguf');
    await convert(TINY, vision, { type: 'q4_k_m', part: 'vision', ...INTERLEAVE });
    const { metadata, tensors } = await readGguf(vision);
    expect([...metadata.keys()].filter((key) => /^(phi3|tokenizer|xgenmm\.generation)\./.test(key))).toEqual(
      [],
    );
    expect(metadata.get('general.file_type')?.value).toBe(7);
    expect([...tensors.keys()].filter((name) => !/^(v|resampler)\./.test(name))).toEqual([]);
  });
});

describe('a dry run', () => {
  test('says what would be written, and writes nothing', async () => {
    const folder = await temporaryFolder();
    const output = join(folder, 'out.gguf');
    const outlook = await convert(TINY, output, { type: 'q4_k_m', dryRun: true, ...INTERLEAVE });
    expect(await readdir(folder)).toEqual([]);
    expect(await convert(TINY, output, { type: 'q4_k_m', ...INTERLEAVE })).toEqual(outlook);
    expect((await readFile(output)).length).toBe(outlook.bytes);
  });

  test('checks where it would be written', async () => {
    const output = join(await temporaryFolder(), 'absent', 'out.gguf');
    await expect(convert(TINY, output, { dryRun: true })).rejects.toMatchObject({
      code: 'ERR_XGENMM_WRITE_FAILED',
    });
  });
});

describe('an importance matrix', () => {
  const MATRIX = 'blk.1.attn_output.weight';

  /** As llama-imatrix writes it, for the matrices named. */
  async function writeMatrix(columns: number, names: string[]): Promise<string> {
    const path = join(await temporaryFolder(), 'importance.gguf');
    const data = Buffer.from(new Float32Array(columns).map((_, i) => 1 + (i % 7) ** 3).buffer);
    const tensors = names.flatMap((name) => [
      { name: `${name}.in_sum2`, shape: [columns], type: 0, data },
      { name: `${name}.counts`, shape: [1], type: 0, data: Buffer.from(Float32Array.of(1).buffer) },
    ]);
    await writeFile(path, new GgufFile([], tensors).setString('general.type', 'imatrix').serialise().bytes);
    return path;
  }

  test('changes what it names, and is noted', async () => {
    const folder = await temporaryFolder();
    const [plain, guided] = [join(folder, 'plain.gguf'), join(folder, 'guided.gguf')];
    const notes: string[] = [];
    const imatrix = await writeMatrix(768, [MATRIX]);
    await convert(WIDE, plain, { type: 'q4_k_m', ...INTERLEAVE });
    await convert(WIDE, guided, {
      type: 'q4_k_m',
      imatrix,
      onNote: (note) => notes.push(note),
      ...INTERLEAVE,
    });
    const [before, after] = [await readGguf(plain), await readGguf(guided)];
    const changed = [...after.tensors].filter(
      ([name, { bytes }]) => !bytes.equals(before.tensors.get(name)?.bytes as Buffer),
    );
    expect(changed.map(([name]) => name)).toEqual([MATRIX]);
    expect(notes).toEqual([expect.stringMatching(/entries for 1 of the 9 matrices/)]);
    expect(after.metadata.get('quantize.imatrix.file')?.value).toBe('importance.gguf');
    expect(after.metadata.get('quantize.imatrix.entries_count')?.value).toBe(1);
  });

  test('that lacks the embedding, which nothing is multiplied with, lacks nothing', async () => {
    const notes: string[] = [];
    const tensors = [MATRIX, 'token_embd.weight'].map((name) => ({
      name,
      shape: [768, 8],
      type: 'q4_K' as const,
    }));
    const importance = await loadImportance(await writeMatrix(768, [MATRIX]), tensors, (note) =>
      notes.push(note),
    );
    expect([...importance.keys()]).toEqual([MATRIX]);
    expect(notes).toEqual([]);
  });

  test('is not taken for the output', async () => {
    const imatrix = await writeMatrix(768, [MATRIX]);
    const before = await readFile(imatrix);
    const refused = {
      code: 'ERR_XGENMM_INVALID_ARGUMENT',
      message: expect.stringContaining('which is to be read itself'),
    };
    const options = { type: 'q4_k_m', imatrix } as const;
    await expect(convert(WIDE, imatrix, { ...options, ...INTERLEAVE })).rejects.toMatchObject(refused);
    await expect(quantize(modelFile('wide-f32'), imatrix, options)).rejects.toMatchObject(refused);
    expect((await readFile(imatrix)).equals(before)).toBe(true);
  });

  test('of another model is refused', async () => {
    const options = { type: 'q4_k_m', ...INTERLEAVE } as const;
    const named = await writeMatrix(96, [MATRIX]);
    await expectRefusal(WIDE, 'INVALID_ARGUMENT', /768 columns for blk\.1.*received 96/, {
      ...options,
      imatrix: named,
    });
    const unknown = await writeMatrix(96, ['blk.0.attn_q.weight']);
    await expectRefusal(WIDE, 'INVALID_ARGUMENT', 'received none', { ...options, imatrix: unknown });
    await expectRefusal(WIDE, 'MODEL_INVALID', 'importance file', {
      ...options,
      imatrix: modelFile('tiny-f16'),
    });
    await expectRefusal(WIDE, 'FILE_NOT_FOUND', 'absent', { ...options, imatrix: join(WIDE, 'absent') });
  });
});

describe('a disk that is full', () => {
  test('midway: the old file stays, and nothing lies beside it', async () => {
    const handle = await open(join(TINY, 'config.json'));
    const prototype = Object.getPrototypeOf(handle) as typeof handle;
    await handle.close();
    const write = prototype.write as (...args: unknown[]) => Promise<unknown>;
    let writes = 0;
    vi.spyOn(prototype, 'write').mockImplementation(function (this: unknown, ...args: unknown[]) {
      if (++writes < 30) return write.apply(this, args) as never;
      return Promise.reject(Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' }));
    } as typeof prototype.write);
    await expectRefusal(TINY, 'WRITE_FAILED', 'no space left', { type: 'q8_0' });
    expect(writes).toBeGreaterThanOrEqual(30);
  });
});

test('what a killed run has left is named, and nothing else', async () => {
  const folder = await temporaryFolder();
  const left = 'out.gguf.0123456789ab.tmp';
  for (const name of [left, 'other.gguf.0123456789ab.tmp', 'out.gguf.tmp'])
    await writeFile(join(folder, name), '');
  const notes: string[] = [];
  await convert(TINY, join(folder, 'out.gguf'), { ...INTERLEAVE, onNote: (note) => notes.push(note) });
  expect(notes).toEqual([expect.stringContaining(`${left} is left from a run that was killed`)]);
  expect((await readdir(folder)).toSorted()).toEqual([
    'other.gguf.0123456789ab.tmp',
    'out.gguf',
    left,
    'out.gguf.tmp',
  ]);
});
