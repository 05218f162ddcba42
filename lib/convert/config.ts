import { XgenmmError } from '../errors.js';
import { describe } from '../options.js';
import { isJsonObject, type JsonObject } from './json.js';

export interface VisionConfig {
  width: number;
  layers: number;
  heads: number;
  mlpWidth: number;
  /** Tile side in pixels. */
  imageSize: number;
  patchSize: number;
  epsilon: number;
  /** Canvases as [width, height] in pixels, in order of preference. */
  grids: [number, number][];
}

export interface ResamplerConfig {
  depth: number;
  heads: number;
  headSize: number;
  latents: number;
}

export interface TextConfig {
  width: number;
  layers: number;
  heads: number;
  kvHeads: number;
  mlpWidth: number;
  /** Rows of the big embedding table and head. */
  tableRows: number;
  /** V0: tokens before the three that are added at load time. */
  tokenizerLength: number;
  contextLength: number;
  epsilon: number;
  ropeTheta: number;
  /** Keys that a query sees, itself included; 0: all. */
  slidingWindow: number;
}

/** What config.json says, with the defaults that the official files imply filled in. */
export interface ModelConfig {
  /** Last part of `_name_or_path`. */
  name: string | undefined;
  vision: VisionConfig;
  resampler: ResamplerConfig;
  text: TextConfig;
}

/** No model of this family comes near; above, sizes of tensors would leave the exact integers. */
const MAX_WIDTH = 2 ** 16;
const MAX_IMAGE_SIZE = 4096;
const MAX_PATCH_SIZE = 1024;
const MAX_LAYERS = 1024;
const MAX_ROWS = 2 ** 20;
const MAX_POSITIONS = 2 ** 24;
const MAX_TILES = 64;

/** Throws ERR_XGENMM_MODEL_UNSUPPORTED for another kind of model, ERR_XGENMM_MODEL_INVALID for absurd values. */
export function parseConfig(json: JsonObject): ModelConfig {
  const root = new Section('', json);
  root.expect('model_type', 'xgenmm');
  const vision = parseVision(root.section('vision_encoder_config'));
  const text = parseText(root.section('text_config'));
  return {
    name: repositoryName(json._name_or_path),
    vision,
    resampler: parseResampler(root.section('vision_tokenizer_config'), vision, text),
    text,
  };
}

function parseVision(section: Section): VisionConfig {
  section.expect('hidden_act', 'gelu_pytorch_tanh', 'gelu_pytorch_tanh');
  section.expect('num_channels', 3, 3);
  const width = section.integer('hidden_size', 1152, MAX_WIDTH);
  const heads = section.integer('num_attention_heads', 16, MAX_WIDTH);
  section.expectDivides('num_attention_heads', heads, 'hidden_size', width);
  const imageSize = section.integer('image_size', 384, MAX_IMAGE_SIZE);
  return {
    width,
    heads,
    layers: section.integer('num_hidden_layers', 27, MAX_LAYERS),
    mlpWidth: section.integer('intermediate_size', 4304, MAX_WIDTH),
    imageSize,
    patchSize: section.integer('patch_size', 14, Math.min(imageSize, MAX_PATCH_SIZE)),
    epsilon: section.positive('layer_norm_eps', 1e-6, 1),
    grids: parseGrids(section, imageSize),
  };
}

function parseGrids(section: Section, side: number): [number, number][] {
  const grids = section.value('anyres_grids') ?? [
    [side, 2 * side],
    [2 * side, side],
    [2 * side, 2 * side],
    [3 * side, side],
    [side, 3 * side],
  ];
  const isSide = (value: unknown) =>
    Number.isInteger(value) && (value as number) > 0 && (value as number) % side === 0;
  const isGrid = (grid: unknown): grid is [number, number] =>
    Array.isArray(grid) &&
    grid.length === 2 &&
    grid.every(isSide) &&
    (grid[0] / side) * (grid[1] / side) <= MAX_TILES;
  if (!Array.isArray(grids) || grids.length === 0 || grids.length > MAX_TILES || !grids.every(isGrid)) {
    throw section.invalid(
      'anyres_grids',
      `1 to ${MAX_TILES} pairs of multiples of image_size (${side}) with at most ${MAX_TILES} tiles each`,
      JSON.stringify(grids),
    );
  }
  return grids;
}

function parseResampler(section: Section, vision: VisionConfig, text: TextConfig): ResamplerConfig {
  section.expectSame('vis_feature_dim', 1152, 'the hidden_size of vision_encoder_config', vision.width);
  section.expectSame('lang_embedding_dim', 3072, 'the hidden_size of text_config', text.width);
  const heads = section.integer('num_heads', 16, MAX_WIDTH);
  return {
    depth: section.integer('depth', 6, MAX_LAYERS),
    heads,
    headSize: section.integer('dim_head', 96, Math.floor(MAX_WIDTH / heads)),
    latents: section.integer('num_vis_tokens', 128, MAX_WIDTH),
  };
}

function parseText(section: Section): TextConfig {
  section.expect('model_type', 'phi3', 'phi3');
  section.expect('hidden_act', 'silu', 'silu');
  section.expect('partial_rotary_factor', 1, 1);
  checkRope(section);
  const width = section.integer('hidden_size', 3072, MAX_WIDTH);
  const heads = section.integer('num_attention_heads', 32, MAX_WIDTH);
  const kvHeads = section.integer('num_key_value_heads', heads, MAX_WIDTH);
  section.expectDivides('num_attention_heads', heads, 'hidden_size', width);
  section.expectDivides('num_key_value_heads', kvHeads, 'num_attention_heads', heads);
  if ((width / heads) % 2 !== 0) {
    throw section.invalid('hidden_size', `an even multiple of num_attention_heads (${heads})`, width);
  }
  const tableRows = section.integer('vocab_size', 32064, MAX_ROWS);
  return {
    width,
    heads,
    kvHeads,
    layers: section.integer('num_hidden_layers', 32, MAX_LAYERS),
    mlpWidth: section.integer('intermediate_size', 8192, MAX_WIDTH),
    tableRows,
    tokenizerLength: section.integer('initial_tokenizer_len', 32012, tableRows),
    contextLength: section.integer('max_position_embeddings', 4096, MAX_POSITIONS),
    epsilon: section.positive('rms_norm_eps', 1e-5, 1),
    ropeTheta: section.positive('rope_theta', 10000, Number.MAX_SAFE_INTEGER),
    // null means no window, an absent key phi-3-mini-4k's.
    slidingWindow:
      section.value('sliding_window') === null ? 0 : section.integer('sliding_window', 2047, MAX_POSITIONS),
  };
}

function checkRope(section: Section): void {
  const scaling = section.value('rope_scaling') ?? null;
  if (scaling === null) return;
  const type = isJsonObject(scaling) ? (scaling.rope_type ?? scaling.type) : scaling;
  throw new XgenmmError(
    'ERR_XGENMM_MODEL_UNSUPPORTED',
    `Expected no rope_scaling in text_config in config.json, received ${describe(type)}: long-context variants of phi-3 are not supported`,
  );
}

function repositoryName(path: unknown): string | undefined {
  if (typeof path !== 'string') return undefined;
  return path.split(/[/\\]/).findLast((part) => part !== '' && part !== '.');
}

/** One object of config.json; its name goes into the messages. */
class Section {
  constructor(
    private readonly name: string,
    private readonly json: JsonObject,
  ) {}

  section(key: string): Section {
    const json = this.json[key] ?? {};
    if (!isJsonObject(json)) throw this.invalid(key, 'an object', describe(json));
    return new Section(key, json);
  }

  /** `undefined` for an absent key. */
  value(key: string): unknown {
    return Object.hasOwn(this.json, key) ? this.json[key] : undefined;
  }

  integer(key: string, byDefault: number, max: number): number {
    const value = this.value(key) ?? byDefault;
    if (!Number.isInteger(value) || (value as number) < 1 || (value as number) > max) {
      throw this.invalid(key, `an integer from 1 to ${max}`, describe(value));
    }
    return value as number;
  }

  positive(key: string, byDefault: number, max: number): number {
    const value = this.value(key) ?? byDefault;
    if (typeof value !== 'number' || !(Math.fround(value) > 0) || value > max) {
      throw this.invalid(key, `a number above 0 and up to ${max}`, describe(value));
    }
    return value;
  }

  /** For what the engine computes in one way only. */
  expect(key: string, expected: unknown, byDefault?: unknown): void {
    const value = this.value(key) ?? byDefault;
    if (value === expected) return;
    throw new XgenmmError(
      'ERR_XGENMM_MODEL_UNSUPPORTED',
      `Expected ${describe(expected)} for ${this.path(key)}, received ${describe(value)}`,
    );
  }

  expectSame(key: string, byDefault: number, other: string, expected: number): void {
    const value = this.integer(key, byDefault, MAX_WIDTH);
    if (value !== expected) throw this.invalid(key, `${expected} (${other})`, value);
  }

  expectDivides(key: string, divisor: number, other: string, value: number): void {
    if (value % divisor !== 0) throw this.invalid(key, `a divisor of ${other} (${value})`, divisor);
  }

  invalid(key: string, expected: string, received: unknown): XgenmmError {
    return new XgenmmError(
      'ERR_XGENMM_MODEL_INVALID',
      `Expected ${expected} for ${this.path(key)}, received ${received}`,
    );
  }

  private path(key: string): string {
    return `${key} in ${this.name === '' ? '' : `${this.name} in `}config.json`;
  }
}
