import { describe, expect, test } from 'vitest';
import {
  chooseTypes,
  type Mixture,
  storedType,
  type TextType,
  type VisionType,
} from '../../lib/convert/mixture.js';

const WIDTH = 3072;
const MLP = 8192;
const VOCABULARY = 32064;

function mixture(text: TextType, more: Partial<Mixture> = {}): Mixture {
  return { ...chooseTypes(text), layers: 32, tied: false, guided: false, ...more };
}

/** Types of the matrices that every layer has, a letter or two for each layer. */
function layerTypes(tensor: string, shape: number[], { layers, ...rest }: Mixture): string {
  return Array.from({ length: layers }, (_, n) =>
    storedType(`blk.${n}.${tensor}.weight`, shape, { layers, ...rest }),
  ).join(' ');
}

const down = (choice: Mixture) => layerTypes('ffn_down', [MLP, WIDTH], choice);
const qkv = (choice: Mixture, kvWidth = WIDTH) =>
  layerTypes('attn_qkv', [WIDTH, WIDTH + 2 * kvWidth], choice);
const every = (count: number, type: string) => Array(count).fill(type).join(' ');

/** By llama.cpp's rule, in a phi3 of 32 layers: the first four, every third from the seventh on, the last four. */
const PRECISE_OF_32 = [0, 1, 2, 3, 6, 9, 12, 15, 18, 21, 24, 27, 28, 29, 30, 31];
const pattern = (layers: number, precise: number[], type: string) =>
  Array.from({ length: layers }, (_, n) => (precise.includes(n) ? 'q6_K' : type)).join(' ');

describe('the language model', () => {
  test.each([
    ['q4_k_m', 'q4_K'],
    ['q5_k_m', 'q5_K'],
  ] as const)('%s: q6_K in the delicate half of a phi3 of 32 layers', (text, base) => {
    const choice = mixture(text);
    expect(down(choice)).toBe(pattern(32, PRECISE_OF_32, base));
    expect(qkv(choice)).toBe(pattern(32, PRECISE_OF_32, base));
    expect(layerTypes('attn_output', [WIDTH, WIDTH], choice)).toBe(every(32, base));
    expect(layerTypes('ffn_up', [WIDTH, 2 * MLP], choice)).toBe(every(32, base));
    expect(storedType('token_embd.weight', [WIDTH, VOCABULARY], choice)).toBe(base);
    expect(storedType('output.weight', [WIDTH, VOCABULARY], choice)).toBe('q6_K');
  });

  // 7 * layers / 8 is cut after the product.
  test.each([
    [1, [0]],
    [2, [1]],
    [3, [2]],
    [4, [2, 3]],
    [6, [2, 5]],
    [8, [0, 3, 6, 7]],
    [12, [0, 3, 6, 9, 10, 11]],
  ])('q4_k_m with %d layers', (layers, precise) => {
    expect(down(mixture('q4_k_m', { layers }))).toBe(pattern(layers, precise, 'q4_K'));
    expect(qkv(mixture('q4_k_m', { layers }))).toBe(pattern(layers, precise, 'q4_K'));
  });

  test.each([
    ['q8_0', 'q8_0', 'q8_0'],
    ['q6_k', 'q6_K', 'q6_K'],
    ['q4_0', 'q4_0', 'q6_K'],
  ] as const)('%s is one type, but for the head', (text, base, head) => {
    const choice = mixture(text);
    expect([down(choice), qkv(choice)]).toEqual([every(32, base), every(32, base)]);
    expect(storedType('token_embd.weight', [WIDTH, VOCABULARY], choice)).toBe(base);
    expect(storedType('output.weight', [WIDTH, VOCABULARY], choice)).toBe(head);
  });

  test('iq4_nl: q5_K in the first eighth of the MLP, unless it is guided, and where queries share keys', () => {
    expect(down(mixture('iq4_nl'))).toBe(`${every(4, 'q5_K')} ${every(28, 'iq4_nl')}`);
    expect(down(mixture('iq4_nl', { guided: true }))).toBe(every(32, 'iq4_nl'));
    expect(qkv(mixture('iq4_nl'))).toBe(every(32, 'iq4_nl'));
    expect(qkv(mixture('iq4_nl'), WIDTH / 2)).toBe(every(32, 'iq4_nl'));
    expect(qkv(mixture('iq4_nl'), WIDTH / 4)).toBe(every(32, 'q5_K'));
    expect(storedType('output.weight', [WIDTH, VOCABULARY], mixture('iq4_nl'))).toBe('q6_K');
  });

  test('q4_0 that is guided: q5_K in the first eighth of the MLP', () => {
    expect(down(mixture('q4_0', { guided: true }))).toBe(`${every(4, 'q5_K')} ${every(28, 'q4_0')}`);
  });

  test('an embedding that is the head as well is stored as one', () => {
    for (const text of ['q4_k_m', 'q4_0'] as const) {
      expect(storedType('token_embd.weight', [WIDTH, VOCABULARY], mixture(text, { tied: true }))).toBe(
        'q6_K',
      );
    }
  });

  test.each([
    ['q4_k_m', 96, 'q8_0', 'q8_0'],
    ['q5_k_m', 288, 'q8_0', 'q8_0'],
    ['q4_0', 96, 'q4_0', 'q8_0'],
    ['iq4_nl', 96, 'iq4_nl', 'q8_0'],
    ['q4_k_m', 100, 'f16', 'f16'],
    ['q4_0', 100, 'f16', 'f16'],
    ['q8_0', 100, 'f16', 'f16'],
  ] as const)('%s with rows of %d', (text, width, type, head) => {
    expect(storedType('blk.9.ffn_up.weight', [width, 640], mixture(text))).toBe(type);
    expect(storedType('output.weight', [width, 640], mixture(text))).toBe(head);
  });
});

describe('the vision part', () => {
  const TOWER = [1152, 1152];
  const stored = (name: string, shape: number[], vision?: VisionType, resampler?: VisionType) =>
    storedType(name, shape, mixture('q4_k_m', chooseTypes('q4_k_m', vision, resampler)));

  test('is q8_0 beside quantised text, the resampler as the tower', () => {
    expect(stored('v.blk.0.attn_q.weight', TOWER)).toBe('q8_0');
    expect(stored('resampler.blk.0.ffn_down.weight', [4608, 1152])).toBe('q8_0');
    expect(stored('resampler.proj.weight', [1152, 3072], 'q4_0')).toBe('q4_0');
    expect(stored('v.blk.0.ffn_down.weight', [4320, 1152], 'q4_0', 'f16')).toBe('q4_0');
    expect(stored('resampler.blk.0.ffn_up.weight', TOWER, 'q4_0', 'f16')).toBe('f16');
    expect(chooseTypes('bf16')).toEqual({ text: 'bf16', vision: 'bf16', resampler: 'bf16' });
  });

  test('follows no rule of the text', () => {
    expect(
      storedType(
        'v.blk.0.ffn_down.weight',
        [4320, 1152],
        mixture('q4_0', { ...chooseTypes('q4_0', 'q4_0'), guided: true }),
      ),
    ).toBe('q4_0');
  });

  test.each([
    ['q8_0', 'f16'],
    ['q4_0', 'f16'],
    ['bf16', 'bf16'],
    ['f32', 'f32'],
  ] as const)('of type %s has a patch kernel of type %s', (vision, kernel) => {
    expect(stored('v.patch_embd.weight', [14, 14, 3, 1152], vision)).toBe(kernel);
    // Blocks would fit.
    expect(stored('v.patch_embd.weight', [32, 32, 3, 1152], vision)).toBe(kernel);
  });
});

test.each([
  ['output.bias', [32015]],
  ['output_norm.weight', [3072]],
  ['blk.0.attn_norm.weight', [3072]],
  ['v.position_embd.weight', [1152, 729]],
  ['v.blk.0.ln1.weight', [1152]],
  ['v.blk.0.attn_q.bias', [1152]],
  ['resampler.latents', [1152, 128]],
  ['resampler.norm.weight', [1152]],
])('%s stays as it is', (name, shape) => {
  for (const text of ['f16', 'q4_k_m'] as const)
    expect(storedType(name, shape, mixture(text))).toBeUndefined();
});
