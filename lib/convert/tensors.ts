import { XgenmmError } from '../errors.js';
import { describe } from '../options.js';
import type { ModelConfig, ResamplerConfig, TextConfig, VisionConfig } from './config.js';
import type { StoredTensor } from './safetensors.js';

/** Block size of the quantised types: the tower's MLP is padded to a multiple of it. */
const BLOCK = 32;
/** Rows that the reference appends to embedding, head and vocabulary. */
const LATE_ROWS = 3;
/** The pooling head, which nothing uses. */
const UNUSED = 'vlm.vision_encoder.head.';

/** The first `rows` rows of a tensor of the checkpoint; a row is everything below the slowest dimension. */
export interface Source {
  name: string;
  /** As it must be in the checkpoint, slowest dimension first. */
  shape: number[];
  rows: number;
}

/** A tensor of the GGUF file: rows of one or several tensors of the checkpoint, then zeros. */
export interface TensorPlan {
  name: string;
  /** Slowest dimension first; ggml's order is the reverse. */
  shape: number[];
  sources: Source[];
}

/** All tensors of the file, in its order. */
export function planTensors({ text, vision, resampler }: ModelConfig): TensorPlan[] {
  return [...planText(text), ...planVision(vision), ...planResampler(resampler, vision.width, text.width)];
}

/** Throws unless the checkpoint holds exactly what the plans need, in the right shapes. */
export function checkTensors(plans: TensorPlan[], stored: Map<string, StoredTensor>): void {
  const needed = new Set<string>();
  for (const { name, shape } of plans.flatMap((plan) => plan.sources)) {
    needed.add(name);
    const tensor = stored.get(name);
    if (tensor === undefined) throw invalid(`Expected a tensor ${name} in the checkpoint, received none`);
    if (tensor.shape.join() !== shape.join()) {
      throw invalid(`Expected shape [${shape}] for the tensor ${name}, received [${tensor.shape}]`);
    }
  }
  for (const name of stored.keys()) {
    if (!needed.has(name) && !name.startsWith(UNUSED)) {
      throw invalid(`Expected no tensor of the name ${describe(name)} in a checkpoint of this configuration`);
    }
  }
}

function planText(text: TextConfig): TensorPlan[] {
  const { width, mlpWidth, layers } = text;
  const kvWidth = (width / text.heads) * text.kvHeads;
  const model = 'vlm.lang_model.model';
  const head = 'vlm.lang_model.lm_head';
  const plans = [
    merged(
      text,
      'token_embd.weight',
      `${model}.embed_tokens.weight`,
      `${model}.embed_tokens.additional_embedding.weight`,
    ),
    merged(text, 'output.weight', `${head}.weight`, `${head}.additional_fc.weight`),
    merged(text, 'output.bias', `${head}.bias`, `${head}.additional_fc.bias`),
    tensor('output_norm.weight', `${model}.norm.weight`, [width]),
  ];
  for (let n = 0; n < layers; n++) {
    const [to, from] = [`blk.${n}`, `${model}.layers.${n}`];
    plans.push(
      tensor(`${to}.attn_norm.weight`, `${from}.input_layernorm.weight`, [width]),
      tensor(`${to}.attn_qkv.weight`, `${from}.self_attn.qkv_proj.weight`, [width + 2 * kvWidth, width]),
      tensor(`${to}.attn_output.weight`, `${from}.self_attn.o_proj.weight`, [width, width]),
      tensor(`${to}.ffn_norm.weight`, `${from}.post_attention_layernorm.weight`, [width]),
      tensor(`${to}.ffn_up.weight`, `${from}.mlp.gate_up_proj.weight`, [2 * mlpWidth, width]),
      tensor(`${to}.ffn_down.weight`, `${from}.mlp.down_proj.weight`, [width, mlpWidth]),
    );
  }
  return plans;
}

function planVision({ width, mlpWidth, layers, imageSize, patchSize }: VisionConfig): TensorPlan[] {
  const tower = 'vlm.vision_encoder';
  const grid = Math.floor(imageSize / patchSize);
  const padded = paddedWidth(mlpWidth);
  const plans = [
    tensor('v.patch_embd.weight', `${tower}.embeddings.patch_embedding.weight`, [
      width,
      3,
      patchSize,
      patchSize,
    ]),
    tensor('v.patch_embd.bias', `${tower}.embeddings.patch_embedding.bias`, [width]),
    tensor('v.position_embd.weight', `${tower}.embeddings.position_embedding.weight`, [grid * grid, width]),
    ...norm('v.post_ln', `${tower}.post_layernorm`, width),
  ];
  for (let n = 0; n < layers; n++) {
    const [to, from] = [`v.blk.${n}`, `${tower}.encoder.layers.${n}`];
    plans.push(
      ...norm(`${to}.ln1`, `${from}.layer_norm1`, width),
      ...norm(`${to}.ln2`, `${from}.layer_norm2`, width),
    );
    for (const part of ['q', 'k', 'v', 'out']) {
      plans.push(
        tensor(`${to}.attn_${part}.weight`, `${from}.self_attn.${part}_proj.weight`, [width, width]),
        tensor(`${to}.attn_${part}.bias`, `${from}.self_attn.${part}_proj.bias`, [width]),
      );
    }
    // gelu(0) = 0 meets a zero column: the padding changes no result.
    plans.push(
      padTo([padded, width], tensor(`${to}.ffn_up.weight`, `${from}.mlp.fc1.weight`, [mlpWidth, width])),
      padTo([padded], tensor(`${to}.ffn_up.bias`, `${from}.mlp.fc1.bias`, [mlpWidth])),
      padTo([width, padded], tensor(`${to}.ffn_down.weight`, `${from}.mlp.fc2.weight`, [width, mlpWidth])),
      tensor(`${to}.ffn_down.bias`, `${from}.mlp.fc2.bias`, [width]),
    );
  }
  return plans;
}

function planResampler(config: ResamplerConfig, width: number, textWidth: number): TensorPlan[] {
  const tokenizer = 'vlm.vision_tokenizer';
  const inner = config.heads * config.headSize;
  const plans = [
    tensor('resampler.latents', `${tokenizer}.latents`, [config.latents, width]),
    ...norm('resampler.norm', `${tokenizer}.norm`, width),
    tensor('resampler.proj.weight', `${tokenizer}.projection.weight`, [textWidth, width]),
    tensor('resampler.proj.bias', `${tokenizer}.projection.bias`, [textWidth]),
  ];
  for (let n = 0; n < config.depth; n++) {
    const [to, attention, mlp] = [
      `resampler.blk.${n}`,
      `${tokenizer}.layers.${n}.0`,
      `${tokenizer}.layers.${n}.1`,
    ];
    plans.push(
      ...norm(`${to}.norm_media`, `${attention}.norm_media`, width),
      ...norm(`${to}.norm_latents`, `${attention}.norm_latents`, width),
      tensor(`${to}.attn_q.weight`, `${attention}.to_q.weight`, [inner, width]),
      tensor(`${to}.attn_kv.weight`, `${attention}.to_kv.weight`, [2 * inner, width]),
      tensor(`${to}.attn_out.weight`, `${attention}.to_out.weight`, [width, inner]),
      ...norm(`${to}.ffn_norm`, `${mlp}.0`, width),
      tensor(`${to}.ffn_up.weight`, `${mlp}.1.weight`, [4 * width, width]),
      tensor(`${to}.ffn_down.weight`, `${mlp}.3.weight`, [width, 4 * width]),
    );
  }
  return plans;
}

/** Width of the tower's MLP in the file. */
export function paddedWidth(mlpWidth: number): number {
  return Math.ceil(mlpWidth / BLOCK) * BLOCK;
}

function tensor(name: string, source: string, shape: number[]): TensorPlan {
  return { name, shape, sources: [{ name: source, shape, rows: shape[0] as number }] };
}

function norm(name: string, source: string, width: number): TensorPlan[] {
  return ['weight', 'bias'].map((part) => tensor(`${name}.${part}`, `${source}.${part}`, [width]));
}

function padTo(shape: number[], plan: TensorPlan): TensorPlan {
  return { ...plan, shape };
}

/** V0 rows of the big table, whose other rows are wrong, then the rows of the late tokens. */
function merged(
  { tableRows, tokenizerLength, width }: TextConfig,
  name: string,
  big: string,
  late: string,
): TensorPlan {
  const row = name.endsWith('.weight') ? [width] : [];
  return {
    name,
    shape: [tokenizerLength + LATE_ROWS, ...row],
    sources: [
      { name: big, shape: [tableRows, ...row], rows: tokenizerLength },
      { name: late, shape: [LATE_ROWS, ...row], rows: LATE_ROWS },
    ],
  };
}

function invalid(message: string): XgenmmError {
  return new XgenmmError('ERR_XGENMM_MODEL_INVALID', message);
}
