import type { NativeTensorType } from '../native.js';
import { GGML_TYPE, type TensorInfo } from './gguf-header.js';
import type { TensorPlan } from './tensors.js';

/** What the language model's matrices can be stored in: one type, or a mixture of llama.cpp's. */
export const TEXT_TYPES = [
  'f32',
  'f16',
  'bf16',
  'q8_0',
  'q6_k',
  'q5_k_m',
  'q4_k_m',
  'q4_0',
  'iq4_nl',
] as const;
export type TextType = (typeof TEXT_TYPES)[number];

/** What the matrices of the vision tower and of the resampler can be stored in. */
export const VISION_TYPES = ['f32', 'f16', 'bf16', 'q8_0', 'q4_0'] as const;
export type VisionType = (typeof VISION_TYPES)[number];

export type Part = 'text' | 'vision' | 'resampler';

/** What each part's matrices are stored in; `undefined`: as they are. */
export interface PartTypes {
  text: TextType | undefined;
  vision: VisionType | undefined;
  resampler: VisionType | undefined;
}

/** Everything that a tensor's type depends on, but for the tensor. */
export interface Mixture extends PartTypes {
  /** Of the language model. */
  layers: number;
  /** There is no `output.weight`: the embedding is the head as well. */
  tied: boolean;
  /** An importance matrix guides the quantisation. */
  guided: boolean;
}

/** llama.cpp's numbers for what most tensors are stored in. */
export const FILE_TYPE: Record<TextType, number> = {
  f32: 0,
  f16: 1,
  q4_0: 2,
  q8_0: 7,
  q4_k_m: 15,
  q5_k_m: 17,
  q6_k: 18,
  iq4_nl: 25,
  bf16: 32,
};

/** What most matrices of a text type are. */
const BASE: Record<TextType, NativeTensorType> = {
  f32: 'f32',
  f16: 'f16',
  bf16: 'bf16',
  q8_0: 'q8_0',
  q6_k: 'q6_K',
  q5_k_m: 'q5_K',
  q4_k_m: 'q4_K',
  q4_0: 'q4_0',
  iq4_nl: 'iq4_nl',
};

/** The types of all parts: the vision part is q8_0 beside quantised text, else as the text; the resampler as the tower. */
export function chooseTypes(
  text: TextType | undefined,
  vision: VisionType | undefined = text === undefined || isFloat(text) ? text : 'q8_0',
  resampler: VisionType | undefined = vision,
): PartTypes {
  return { text, vision, resampler };
}

export function partOf(name: string): Part {
  if (name.startsWith('v.')) return 'vision';
  return name.startsWith('resampler.') ? 'resampler' : 'text';
}

/**
 * The type in which a tensor is stored; `undefined`: as it is, which is f32 for everything that is added or looked up rather than
 * multiplied. `shape`: ggml's order. The rules for the text are those of llama.cpp's llama_tensor_get_type() for phi3, but for the
 * types that are not among {@link TEXT_TYPES} (docs/gguf-format.md).
 */
export function storedType(
  name: string,
  shape: readonly number[],
  mixture: Mixture,
): NativeTensorType | undefined {
  const choice = mixture[partOf(name)];
  if (choice === undefined || !isMatrix(name, shape)) return undefined;
  const base = BASE[choice];
  if (isFloat(choice)) return base;
  if (name.includes('.patch_embd')) return 'f16';
  const type =
    mixture.text === choice && partOf(name) === 'text' ? mixedType(name, shape, base, mixture) : base;
  return fitting(type, shape[0] as number);
}

/** A checkpoint's tensors as the converter stores them. `layers`, `guided`: see {@link Mixture}. */
export function storeTensors(
  plans: readonly TensorPlan[],
  types: PartTypes,
  layers: number,
  guided: boolean,
): TensorInfo[] {
  const mixture = { ...types, layers, tied: false, guided };
  return plans.map((plan) => {
    const shape = plan.shape.toReversed();
    return { name: plan.name, shape, type: storedType(plan.name, shape, mixture) ?? 'f32' };
  });
}

function isFloat(type: TextType): type is 'f32' | 'f16' | 'bf16' {
  return type === 'f32' || type === 'f16' || type === 'bf16';
}

function isMatrix(name: string, shape: readonly number[]): boolean {
  return (
    shape.slice(1).some((side) => side > 1) &&
    name.endsWith('weight') &&
    !name.includes('_norm.weight') &&
    !name.includes('.position_embd')
  );
}

function mixedType(
  name: string,
  shape: readonly number[],
  base: NativeTensorType,
  { text, layers, tied, guided }: Mixture,
): NativeTensorType {
  const [width, rows] = shape as [number, number];
  if (name === 'output.weight' || (tied && name === 'token_embd.weight')) {
    return base === 'q8_0' || width % GGML_TYPE[base].block !== 0 ? 'q8_0' : 'q6_K';
  }
  const layer = Number(/^blk\.(\d+)\./.exec(name)?.[1]);
  const precise = (text === 'q4_k_m' || text === 'q5_k_m') && usesMoreBits(layer, layers);
  if (name.includes('attn_qkv.weight')) {
    if (precise) return 'q6_K';
    const kvWidth = (rows - width) / 2;
    if (text === 'iq4_nl' && width >= 4 * kvWidth) return 'q5_K';
  }
  if (name.includes('ffn_down')) {
    if (precise) return 'q6_K';
    // Where an importance matrix leads q4_0 astray, llama.cpp takes q4_1.
    const delicate = (text === 'iq4_nl' && !guided) || (text === 'q4_0' && guided);
    if (delicate && layer < Math.floor(layers / 8)) return 'q5_K';
  }
  return base;
}

/** The first and last eighth of the layers, and every third between them. */
function usesMoreBits(layer: number, layers: number): boolean {
  const eighth = Math.floor(layers / 8);
  return layer < eighth || layer >= Math.floor((7 * layers) / 8) || (layer - eighth) % 3 === 2;
}

/** The type, or a more precise one whose blocks fill the rows. */
function fitting(type: NativeTensorType, rowLength: number): NativeTensorType {
  if (rowLength % GGML_TYPE[type].block === 0) return type;
  return rowLength % GGML_TYPE.q8_0.block === 0 ? 'q8_0' : 'f16';
}
