import { rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';
import { convert } from '../../lib/convert/convert.js';
import {
  convertToGguf,
  copyCheckpoint,
  editJson,
  expectRefusal,
  TINY,
  temporaryFolder,
} from './checkpoint.js';
import { readGguf } from './gguf-reader.js';

const V0 = 612;
const GRIDS = [76, 152, 152, 76, 152, 152, 228, 76, 76, 228];

describe('keys', () => {
  const expected: [string, string, unknown][] = [
    ['general.architecture', 'string', 'xgenmm'],
    ['general.name', 'string', 'tiny'],
    ['general.alignment', 'u32', 32],
    ['general.file_type', 'u32', 1],
    ['general.quantization_version', 'u32', 2],
    ['xgenmm.format_version', 'u32', 1],
    ['xgenmm.variant', 'string', 'instruct-interleave'],
    ['xgenmm.image_mode', 'string', 'anyres'],
    ['xgenmm.anyres_grids', 'i32[]', GRIDS],
    ['xgenmm.image_separator', 'string', '\n'],
    ['xgenmm.initial_tokenizer_len', 'u32', V0],
    ['xgenmm.generation.max_tokens', 'u32', 1024],
    ['xgenmm.generation.temperature', 'f32', 0],
    ['xgenmm.generation.repetition_penalty', 'f32', 1],
    ['phi3.context_length', 'u32', 4096],
    ['phi3.embedding_length', 'u32', 96],
    ['phi3.block_count', 'u32', 3],
    ['phi3.feed_forward_length', 'u32', 256],
    ['phi3.attention.head_count', 'u32', 3],
    ['phi3.attention.head_count_kv', 'u32', 3],
    ['phi3.attention.layer_norm_rms_epsilon', 'f32', Math.fround(1e-5)],
    ['phi3.attention.sliding_window', 'u32', 31],
    ['phi3.rope.dimension_count', 'u32', 32],
    ['phi3.rope.freq_base', 'f32', 10000],
    ['tokenizer.ggml.model', 'string', 'llama'],
    ['tokenizer.ggml.tokens', 'string[]', expect.any(Array)],
    ['tokenizer.ggml.scores', 'f32[]', expect.any(Array)],
    ['tokenizer.ggml.token_type', 'i32[]', expect.any(Array)],
    ['tokenizer.ggml.bos_token_id', 'u32', 1],
    ['tokenizer.ggml.eos_token_id', 'u32', 600],
    ['tokenizer.ggml.unknown_token_id', 'u32', 0],
    ['tokenizer.ggml.padding_token_id', 'u32', 611],
    ['tokenizer.ggml.add_bos_token', 'bool', false],
    ['tokenizer.xgenmm.style', 'string', 'slow'],
    ['tokenizer.xgenmm.rstrip_ids', 'i32[]', [2, 601, 602, 603, 604, 605, 606, 607, 608, 609, 610]],
    ['clip.vision.image_size', 'u32', 76],
    ['clip.vision.patch_size', 'u32', 14],
    ['clip.vision.embedding_length', 'u32', 64],
    ['clip.vision.feed_forward_length', 'u32', 160],
    ['clip.vision.block_count', 'u32', 3],
    ['clip.vision.attention.head_count', 'u32', 4],
    ['clip.vision.attention.layer_norm_epsilon', 'f32', Math.fround(1e-6)],
    ['resampler.block_count', 'u32', 2],
    ['resampler.head_count', 'u32', 2],
    ['resampler.head_dim', 'u32', 48],
    ['resampler.latent_count', 'u32', 8],
    ['resampler.layer_norm_epsilon', 'f32', Math.fround(1e-5)],
  ];

  test('every key of the format, with its type', async () => {
    const { metadata } = await convertToGguf(TINY);
    const received = [...metadata].map(([key, { type, value }]) => [key, type, value]);
    expect(received).toEqual(expected);
  });

  test.each([
    ['f32', 0],
    ['f16', 1],
    ['bf16', 32],
    ['q8_0', 7],
    ['q6_k', 18],
    ['q5_k_m', 17],
    ['q4_k_m', 15],
    ['q4_0', 2],
    ['iq4_nl', 25],
  ] as const)('file type of %s', async (type, number) => {
    const { metadata } = await convertToGguf(TINY, { type });
    expect(metadata.get('general.file_type')?.value).toBe(number);
  });

  test('the base model differs in prompt, pictures and tokenizer style', async () => {
    const { metadata } = await convertToGguf(TINY, { variant: 'base' });
    expect(metadata.get('xgenmm.variant')?.value).toBe('base');
    expect(metadata.get('xgenmm.image_mode')?.value).toBe('squash');
    expect(metadata.get('xgenmm.image_separator')?.value).toBe('');
    expect(metadata.get('tokenizer.xgenmm.style')?.value).toBe('fast');
    expect(metadata.get('xgenmm.generation.max_tokens')?.value).toBe(256);
  });

  test('generation_config.json says how the model answers', async () => {
    const folder = await copyCheckpoint();
    const config = { max_new_tokens: 77, do_sample: true, temperature: 0.5, repetition_penalty: 1.5 };
    await writeFile(join(folder, 'generation_config.json'), JSON.stringify(config));
    const { metadata } = await convertToGguf(folder);
    expect(metadata.get('xgenmm.generation.max_tokens')?.value).toBe(77);
    expect(metadata.get('xgenmm.generation.temperature')?.value).toBe(0.5);
    expect(metadata.get('xgenmm.generation.repetition_penalty')?.value).toBe(1.5);
    await rm(join(folder, 'generation_config.json'));
    expect((await convertToGguf(folder)).metadata.get('xgenmm.generation.max_tokens')?.value).toBe(1024);
  });

  test.each([
    { max_new_tokens: 0 },
    { max_new_tokens: 1.5 },
    { repetition_penalty: '2' },
    { do_sample: true, temperature: -1 },
  ])('a generation_config.json of %j is refused', async (config) => {
    const folder = await copyCheckpoint();
    await writeFile(join(folder, 'generation_config.json'), JSON.stringify(config));
    await expectRefusal(folder, 'MODEL_INVALID', 'in generation_config.json, received');
  });

  test('defaults stand in for what the short official config.json leaves out', async () => {
    const folder = await copyCheckpoint();
    await editJson<Record<string, Record<string, unknown>>>(join(folder, 'config.json'), (config) => {
      delete config.vision_encoder_config?.anyres_grids;
      for (const key of ['rms_norm_eps', 'rope_theta', 'num_key_value_heads', 'max_position_embeddings']) {
        delete config.text_config?.[key];
      }
      delete config.text_config?.sliding_window;
    });
    const { metadata } = await convertToGguf(folder);
    expect(metadata.get('xgenmm.anyres_grids')?.value).toEqual(GRIDS);
    expect(metadata.get('phi3.attention.layer_norm_rms_epsilon')?.value).toBe(Math.fround(1e-5));
    expect(metadata.get('phi3.rope.freq_base')?.value).toBe(10000);
    expect(metadata.get('phi3.attention.head_count_kv')?.value).toBe(3);
    expect(metadata.get('phi3.context_length')?.value).toBe(4096);
    expect(metadata.get('phi3.attention.sliding_window')?.value).toBe(2047);
  });

  test('a sliding_window of null means none', async () => {
    const folder = await copyCheckpoint();
    await editJson<Record<string, Record<string, unknown>>>(join(folder, 'config.json'), (config) => {
      Object.assign(config.text_config as object, { sliding_window: null });
    });
    const { metadata } = await convertToGguf(folder);
    expect(metadata.get('phi3.attention.sliding_window')?.value).toBe(0);
  });
});

test('the result says what was written, and progress ends with the whole file', async () => {
  const output = join(await temporaryFolder(), 'out.gguf');
  const steps: [number, number][] = [];
  const result = await convert(pathToFileURL(TINY), pathToFileURL(output), {
    variant: 'instruct-dpo',
    type: 'bf16',
    onProgress: (done, total) => steps.push([done, total]),
  });
  const { tensors, header } = await readGguf(output);
  const { size: bytes } = await stat(output);
  expect(result).toEqual({
    path: output,
    variant: 'instruct-dpo',
    types: { text: 'bf16', vision: 'bf16', resampler: 'bf16' },
    tensors: expect.any(Array),
    bytes,
  });
  expect(result.tensors.reduce((sum, { count }) => sum + count, 0)).toBe(tensors.size);
  const done = steps.map(([value]) => value);
  expect(done).toEqual(done.toSorted((a, b) => a - b));
  expect(done[0]).toBeGreaterThan(header.length);
  expect(done.at(-1)).toBe(bytes);
  expect(new Set(steps.map(([, total]) => total))).toEqual(new Set([bytes]));
});

describe('variant', () => {
  const guess = async (folder: string) => {
    const notes: string[] = [];
    const output = join(await temporaryFolder(), 'out.gguf');
    const { variant } = await convert(folder, output, { onNote: (note) => notes.push(note) });
    return { variant, notes, name: (await readGguf(output)).metadata.get('general.name')?.value };
  };

  test.each([
    ['xgen-mm-phi3-mini-base-r-v1.5', 'base'],
    ['xgen-mm-phi3-mini-instruct-singleimg-r-v1.5', 'instruct-singleimg'],
    ['xgen-mm-phi3-mini-instruct-interleave-r-v1.5', 'instruct-interleave'],
    ['XGen-MM_DPO', 'instruct-dpo'],
  ])('of a folder named %s', async (name, variant) => {
    expect(await guess(await copyCheckpoint(TINY, name))).toEqual({ variant, notes: [], name });
  });

  test('of the repository, which config.json names', async () => {
    const folder = await copyCheckpoint(TINY, 'dpo');
    await editJson(join(folder, 'config.json'), (config) => {
      config._name_or_path = 'Salesforce/xgen-mm-phi3-mini-base-r-v1.5';
    });
    expect(await guess(folder)).toEqual({
      variant: 'base',
      notes: [],
      name: 'xgen-mm-phi3-mini-base-r-v1.5',
    });
  });

  test('is instruct-interleave, with a note, where no name says it', async () => {
    const { variant, notes } = await guess(await copyCheckpoint(TINY, 'database'));
    expect(variant).toBe('instruct-interleave');
    expect(notes).toEqual([expect.stringContaining('instruct-interleave is assumed')]);
  });
});
