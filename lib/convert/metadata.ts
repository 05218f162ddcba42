import type { ModelConfig } from './config.js';
import { ALIGNMENT, type GgmlType, type Value } from './gguf-header.js';
import { paddedWidth } from './tensors.js';
import type { Tokenizer } from './tokenizer.js';
import type { Variant } from './variant.js';

/** llama.cpp's numbers for what most tensors are stored in. */
const FILE_TYPE: Record<GgmlType, number> = { f32: 0, f16: 1, bf16: 32 };

/** torch's default, which the reference's resampler uses and no config names. */
const RESAMPLER_EPSILON = 1e-5;

const u32 = (value: number): Value => ({ type: 'u32', value });
const f32 = (value: number): Value => ({ type: 'f32', value });
const bool = (value: boolean): Value => ({ type: 'bool', value });
const string = (value: string): Value => ({ type: 'string', value });
const i32s = (value: number[]): Value => ({ type: 'array', of: 'i32', value });
const f32s = (value: number[]): Value => ({ type: 'array', of: 'f32', value });
const strings = (value: string[]): Value => ({ type: 'array', of: 'string', value });

/** Every key of the file; what they mean is in docs/gguf-format.md. */
export function describeModel(
  name: string,
  variant: Variant,
  type: GgmlType,
  { text, vision, resampler }: ModelConfig,
  tokenizer: Tokenizer,
): Map<string, Value> {
  const isBase = variant === 'base';
  return new Map([
    ['general.architecture', string('xgenmm')],
    ['general.name', string(name)],
    ['general.alignment', u32(ALIGNMENT)],
    ['general.file_type', u32(FILE_TYPE[type])],

    ['xgenmm.format_version', u32(1)],
    ['xgenmm.variant', string(variant)],
    ['xgenmm.image_mode', string(isBase ? 'squash' : 'anyres')],
    ['xgenmm.anyres_grids', i32s(vision.grids.flat())],
    ['xgenmm.initial_tokenizer_len', u32(text.tokenizerLength)],
    ['xgenmm.image_separator', string(isBase ? '' : '\n')],

    ['phi3.context_length', u32(text.contextLength)],
    ['phi3.embedding_length', u32(text.width)],
    ['phi3.block_count', u32(text.layers)],
    ['phi3.feed_forward_length', u32(text.mlpWidth)],
    ['phi3.attention.head_count', u32(text.heads)],
    ['phi3.attention.head_count_kv', u32(text.kvHeads)],
    ['phi3.attention.layer_norm_rms_epsilon', f32(text.epsilon)],
    ['phi3.attention.sliding_window', u32(text.slidingWindow)],
    ['phi3.rope.dimension_count', u32(text.width / text.heads)],
    ['phi3.rope.freq_base', f32(text.ropeTheta)],

    ['tokenizer.ggml.model', string('llama')],
    ['tokenizer.ggml.tokens', strings(tokenizer.pieces.map((piece) => piece.text))],
    ['tokenizer.ggml.scores', f32s(tokenizer.pieces.map((piece) => piece.score))],
    ['tokenizer.ggml.token_type', i32s(tokenizer.pieces.map((piece) => piece.type))],
    ['tokenizer.ggml.bos_token_id', u32(tokenizer.bosId)],
    ['tokenizer.ggml.eos_token_id', u32(tokenizer.eosId)],
    ['tokenizer.ggml.unknown_token_id', u32(tokenizer.unknownId)],
    ['tokenizer.ggml.padding_token_id', u32(tokenizer.padId)],
    ['tokenizer.ggml.add_bos_token', bool(tokenizer.addBos)],
    ['tokenizer.xgenmm.style', string(isBase ? 'fast' : 'slow')],
    ['tokenizer.xgenmm.rstrip_ids', i32s(tokenizer.rstripIds)],

    ['clip.vision.image_size', u32(vision.imageSize)],
    ['clip.vision.patch_size', u32(vision.patchSize)],
    ['clip.vision.embedding_length', u32(vision.width)],
    ['clip.vision.feed_forward_length', u32(paddedWidth(vision.mlpWidth))],
    ['clip.vision.block_count', u32(vision.layers)],
    ['clip.vision.attention.head_count', u32(vision.heads)],
    ['clip.vision.attention.layer_norm_epsilon', f32(vision.epsilon)],

    ['resampler.block_count', u32(resampler.depth)],
    ['resampler.head_count', u32(resampler.heads)],
    ['resampler.head_dim', u32(resampler.headSize)],
    ['resampler.latent_count', u32(resampler.latents)],
    ['resampler.layer_norm_epsilon', f32(RESAMPLER_EPSILON)],
  ]);
}
