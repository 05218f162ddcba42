import type { ModelConfig } from './config.js';
import type { GenerationDefaults } from './generation.js';
import { ALIGNMENT, type Value } from './gguf-header.js';
import { paddedWidth } from './tensors.js';
import type { Tokenizer } from './tokenizer.js';
import type { Variant } from './variant.js';

/** ggml's number for the layout of the quantised types. */
export const QUANTIZATION_VERSION = 2;

/** torch's default, which the reference's resampler uses and no config names. */
const RESAMPLER_EPSILON = 1e-5;

const u32 = (value: number): Value => ({ type: 'u32', value });
const f32 = (value: number): Value => ({ type: 'f32', value });
const bool = (value: boolean): Value => ({ type: 'bool', value });
const string = (value: string): Value => ({ type: 'string', value });
const i32s = (value: number[]): Value => ({ type: 'array', of: 'i32', value });
const f32s = (value: number[]): Value => ({ type: 'array', of: 'f32', value });
const strings = (value: string[]): Value => ({ type: 'array', of: 'string', value });

/** What a file says of itself, apart from the model's dimensions. */
export interface Identity {
  name: string;
  variant: Variant;
  /** llama.cpp's number for what most tensors are stored in. */
  fileType: number;
}

type Metadata = [key: string, value: Value][];

/** Every key of a whole model's file; what they mean is in docs/gguf-format.md. */
export function describeModel(
  identity: Identity,
  config: ModelConfig,
  tokenizer: Tokenizer,
  generation: GenerationDefaults,
): Map<string, Value> {
  return new Map([
    ...describeIdentity(identity, config),
    ['xgenmm.initial_tokenizer_len', u32(config.text.tokenizerLength)],
    ['xgenmm.generation.max_tokens', u32(generation.maxTokens)],
    ['xgenmm.generation.temperature', f32(generation.temperature)],
    ['xgenmm.generation.repetition_penalty', f32(generation.repetitionPenalty)],
    ...describeText(config),
    ...describeTokenizer(tokenizer, identity.variant),
    ...describeVision(config),
  ]);
}

/** Every key of a file that holds the vision tower and the resampler alone. */
export function describeVisionPart(identity: Identity, config: ModelConfig): Map<string, Value> {
  return new Map([...describeIdentity(identity, config), ...describeVision(config)]);
}

function describeIdentity({ name, variant, fileType }: Identity, { vision }: ModelConfig): Metadata {
  const isBase = variant === 'base';
  return [
    ['general.architecture', string('xgenmm')],
    ['general.name', string(name)],
    ['general.alignment', u32(ALIGNMENT)],
    ['general.file_type', u32(fileType)],
    ['general.quantization_version', u32(QUANTIZATION_VERSION)],

    ['xgenmm.format_version', u32(1)],
    ['xgenmm.variant', string(variant)],
    ['xgenmm.image_mode', string(isBase ? 'squash' : 'anyres')],
    ['xgenmm.anyres_grids', i32s(vision.grids.flat())],
    ['xgenmm.image_separator', string(isBase ? '' : '\n')],
  ];
}

function describeText({ text }: ModelConfig): Metadata {
  return [
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
  ];
}

function describeTokenizer(tokenizer: Tokenizer, variant: Variant): Metadata {
  return [
    ['tokenizer.ggml.model', string('llama')],
    ['tokenizer.ggml.tokens', strings(tokenizer.pieces.map((piece) => piece.text))],
    ['tokenizer.ggml.scores', f32s(tokenizer.pieces.map((piece) => piece.score))],
    ['tokenizer.ggml.token_type', i32s(tokenizer.pieces.map((piece) => piece.type))],
    ['tokenizer.ggml.bos_token_id', u32(tokenizer.bosId)],
    ['tokenizer.ggml.eos_token_id', u32(tokenizer.eosId)],
    ['tokenizer.ggml.unknown_token_id', u32(tokenizer.unknownId)],
    ['tokenizer.ggml.padding_token_id', u32(tokenizer.padId)],
    ['tokenizer.ggml.add_bos_token', bool(tokenizer.addBos)],
    ['tokenizer.xgenmm.style', string(variant === 'base' ? 'fast' : 'slow')],
    ['tokenizer.xgenmm.rstrip_ids', i32s(tokenizer.rstripIds)],
  ];
}

function describeVision({ vision, resampler }: ModelConfig): Metadata {
  return [
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
  ];
}
