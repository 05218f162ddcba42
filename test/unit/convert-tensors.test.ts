import { describe, expect, test } from 'vitest';
import { convertToGguf, copyWithTensors, readTensors, TINY, TINY_F32 } from './checkpoint.js';
import type { Gguf } from './gguf-reader.js';

const F32 = 0;
const F16 = 1;
const BF16 = 30;
const V0 = 612;

const floats = (bytes: Buffer) => new Float32Array(new Uint8Array(bytes).buffer);

function expectSameTensors(a: Gguf, b: Gguf): void {
  expect([...a.tensors.keys()]).toEqual([...b.tensors.keys()]);
  for (const [name, { shape, type, bytes }] of a.tensors) {
    const other = b.tensors.get(name);
    expect([other?.shape, other?.type], name).toEqual([shape, type]);
    expect(other?.bytes.equals(bytes), name).toBe(true);
  }
}

describe('tensors', () => {
  const vision = 'vlm.vision_encoder';
  const resampler = 'vlm.vision_tokenizer';
  const text = 'vlm.lang_model';
  const range = (count: number) => Array.from({ length: count }, (_, n) => n);
  const withBias = (to: string, from: string) =>
    ['weight', 'bias'].map((part): [string, string] => [`${to}.${part}`, `${from}.${part}`]);

  /** What is taken over as it is: name in the file, name in the checkpoint. */
  const copied = new Map<string, string>([
    ['output_norm.weight', `${text}.model.norm.weight`],
    ...range(3).flatMap((n): [string, string][] => [
      [`blk.${n}.attn_norm.weight`, `${text}.model.layers.${n}.input_layernorm.weight`],
      [`blk.${n}.ffn_norm.weight`, `${text}.model.layers.${n}.post_attention_layernorm.weight`],
      [`blk.${n}.attn_qkv.weight`, `${text}.model.layers.${n}.self_attn.qkv_proj.weight`],
      [`blk.${n}.attn_output.weight`, `${text}.model.layers.${n}.self_attn.o_proj.weight`],
      [`blk.${n}.ffn_up.weight`, `${text}.model.layers.${n}.mlp.gate_up_proj.weight`],
      [`blk.${n}.ffn_down.weight`, `${text}.model.layers.${n}.mlp.down_proj.weight`],
    ]),
    ...withBias('v.patch_embd', `${vision}.embeddings.patch_embedding`),
    ['v.position_embd.weight', `${vision}.embeddings.position_embedding.weight`],
    ...range(3).flatMap((n) => [
      ...withBias(`v.blk.${n}.ln1`, `${vision}.encoder.layers.${n}.layer_norm1`),
      ...withBias(`v.blk.${n}.ln2`, `${vision}.encoder.layers.${n}.layer_norm2`),
      ...['q', 'k', 'v', 'out'].flatMap((part) =>
        withBias(`v.blk.${n}.attn_${part}`, `${vision}.encoder.layers.${n}.self_attn.${part}_proj`),
      ),
      [`v.blk.${n}.ffn_down.bias`, `${vision}.encoder.layers.${n}.mlp.fc2.bias`] as [string, string],
    ]),
    ...withBias('v.post_ln', `${vision}.post_layernorm`),
    ['resampler.latents', `${resampler}.latents`],
    ...range(2).flatMap((n): [string, string][] => [
      ...withBias(`resampler.blk.${n}.norm_media`, `${resampler}.layers.${n}.0.norm_media`),
      ...withBias(`resampler.blk.${n}.norm_latents`, `${resampler}.layers.${n}.0.norm_latents`),
      [`resampler.blk.${n}.attn_q.weight`, `${resampler}.layers.${n}.0.to_q.weight`],
      [`resampler.blk.${n}.attn_kv.weight`, `${resampler}.layers.${n}.0.to_kv.weight`],
      [`resampler.blk.${n}.attn_out.weight`, `${resampler}.layers.${n}.0.to_out.weight`],
      ...withBias(`resampler.blk.${n}.ffn_norm`, `${resampler}.layers.${n}.1.0`),
      [`resampler.blk.${n}.ffn_up.weight`, `${resampler}.layers.${n}.1.1.weight`],
      [`resampler.blk.${n}.ffn_down.weight`, `${resampler}.layers.${n}.1.3.weight`],
    ]),
    ...withBias('resampler.norm', `${resampler}.norm`),
    ...withBias('resampler.proj', `${resampler}.projection`),
  ]);
  /** What is merged or padded. */
  const changed = [
    'token_embd.weight',
    'output.weight',
    'output.bias',
    ...range(3).flatMap((n) =>
      ['up.weight', 'up.bias', 'down.weight'].map((part) => `v.blk.${n}.ffn_${part}`),
    ),
  ];
  const isMatrix = (name: string) =>
    /(token_embd|output|attn_(q|k|v|kv|qkv|out|output)|ffn_(up|down)|patch_embd|proj)\.weight$/.test(name);

  test('every tensor of the format and none besides', async () => {
    const { tensors } = await convertToGguf(TINY);
    expect([...tensors.keys()].sort()).toEqual([...copied.keys(), ...changed].sort());
  });

  test('what is taken over has the bytes of the checkpoint and its shape reversed', async () => {
    const { tensors } = await convertToGguf(TINY_F32, { type: 'f32' });
    const stored = await readTensors(TINY_F32);
    for (const [to, from] of copied) {
      const source = stored.get(from);
      const tensor = tensors.get(to);
      expect(tensor?.shape, to).toEqual(source?.shape.toReversed());
      expect(tensor?.bytes.equals(source?.bytes as Buffer), to).toBe(true);
    }
  });

  test.each([
    [
      'token_embd.weight',
      `${text}.model.embed_tokens.weight`,
      `${text}.model.embed_tokens.additional_embedding.weight`,
      96,
    ],
    ['output.weight', `${text}.lm_head.weight`, `${text}.lm_head.additional_fc.weight`, 96],
    ['output.bias', `${text}.lm_head.bias`, `${text}.lm_head.additional_fc.bias`, 1],
  ])('%s has the first rows of the big table, then the three others', async (name, big, late, width) => {
    const { tensors } = await convertToGguf(TINY_F32, { type: 'f32' });
    const stored = await readTensors(TINY_F32);
    const bytes = Buffer.concat([
      stored.get(big)?.bytes.subarray(0, 4 * V0 * width) as Buffer,
      stored.get(late)?.bytes as Buffer,
    ]);
    expect(tensors.get(name)?.shape).toEqual(width === 1 ? [V0 + 3] : [width, V0 + 3]);
    expect(tensors.get(name)?.bytes.equals(bytes)).toBe(true);
  });

  test('the MLP of the tower is padded with zeros from 148 to 160', async () => {
    const { tensors } = await convertToGguf(TINY_F32, { type: 'f32' });
    const stored = await readTensors(TINY_F32);
    for (const n of range(3)) {
      const source = (part: string) =>
        stored.get(`${vision}.encoder.layers.${n}.mlp.${part}`)?.bytes as Buffer;
      const up = tensors.get(`v.blk.${n}.ffn_up.weight`);
      expect(up?.shape).toEqual([64, 160]);
      expect(up?.bytes.equals(Buffer.concat([source('fc1.weight'), Buffer.alloc(4 * 12 * 64)]))).toBe(true);

      const bias = tensors.get(`v.blk.${n}.ffn_up.bias`);
      expect(bias?.shape).toEqual([160]);
      expect(bias?.bytes.equals(Buffer.concat([source('fc1.bias'), Buffer.alloc(4 * 12)]))).toBe(true);

      const down = tensors.get(`v.blk.${n}.ffn_down.weight`);
      expect(down?.shape).toEqual([160, 64]);
      const rows = range(64).map((row) => source('fc2.weight').subarray(4 * 148 * row, 4 * 148 * (row + 1)));
      const padded = Buffer.concat(rows.flatMap((row) => [row, Buffer.alloc(4 * 12)]));
      expect(down?.bytes.equals(padded)).toBe(true);
    }
  });

  test.each([
    ['f16', F16],
    ['bf16', BF16],
  ] as const)('%s is for matrices only', async (type, number) => {
    const { tensors } = await convertToGguf(TINY, { type });
    for (const [name, tensor] of tensors) expect(tensor.type, name).toBe(isMatrix(name) ? number : F32);
  });

  test('bf16 weights come through bf16 unchanged', async () => {
    const { tensors } = await convertToGguf(TINY, { type: 'bf16' });
    const stored = await readTensors(TINY);
    for (const [to, from] of copied) {
      if (isMatrix(to))
        expect(tensors.get(to)?.bytes.equals(stored.get(from)?.bytes as Buffer), to).toBe(true);
    }
  });

  test.each(['f32', 'f16', 'bf16'] as const)(
    'the dtype of the checkpoint does not matter: %s',
    async (type) => {
      const narrow = await convertToGguf(TINY, { type });
      const wide = await convertToGguf(TINY_F32, { type });
      expectSameTensors(narrow, wide);
    },
  );

  test('an f16 checkpoint in one file is widened exactly', async () => {
    const name = `${text}.model.norm.weight`;
    const folder = await copyWithTensors((tensors) => {
      // 1.5, the smallest subnormal, -65504, then zeros.
      const bytes = Buffer.alloc(2 * 96);
      [0x3e00, 0x0001, 0xfbff].forEach((half, i) => {
        bytes.writeUInt16LE(half, 2 * i);
      });
      tensors.set(name, { dtype: 'F16', shape: [96], bytes });
    });
    const { tensors } = await convertToGguf(folder);
    const values = floats(tensors.get('output_norm.weight')?.bytes as Buffer);
    expect([...values.subarray(0, 4)]).toEqual([1.5, 2 ** -24, -65504, 0]);
  });
});
