// Every option by its name and type. `npm run types` checks them; nothing here runs.
import { expectTypeOf } from 'vitest';
import type {
  Background,
  ChatOptions,
  CompleteOptions,
  CountOptions,
  Device,
  EncodeImageOptions,
  GenerateOptions,
  ImageMode,
  ImageOptions,
  LoadOptions,
  LogitsOptions,
  Progress,
  SamplingOptions,
  TokenizeOptions,
} from '../../lib/index.js';

interface Sampling {
  maxTokens?: number | undefined;
  minTokens?: number | undefined;
  temperature?: number | undefined;
  topK?: number | undefined;
  topP?: number | undefined;
  minP?: number | undefined;
  repetitionPenalty?: number | undefined;
  presencePenalty?: number | undefined;
  frequencyPenalty?: number | undefined;
  noRepeatNgramSize?: number | undefined;
  logitBias?: Readonly<Record<number | string, number>> | undefined;
  seed?: number | bigint | undefined;
  stop?: string | string[] | undefined;
  logprobs?: number | undefined;
}
interface Generate extends Sampling {
  fetchImages?: boolean | undefined;
  onProgress?: ((progress: Progress) => void) | undefined;
  signal?: AbortSignal | undefined;
}
interface Tokenize {
  parseSpecial?: boolean | undefined;
}
interface Complete extends Generate, Tokenize {}
interface Count extends Tokenize {
  fetchImages?: boolean | undefined;
}
interface Score extends Count {
  last?: number | undefined;
  signal?: AbortSignal | undefined;
}
interface Image {
  mode?: ImageMode | undefined;
  orient?: boolean | undefined;
  background?: Background | undefined;
}
interface Encode extends Image {
  fetchImages?: boolean | undefined;
  onProgress?: ((progress: Progress) => void) | undefined;
  signal?: AbortSignal | undefined;
}

expectTypeOf<SamplingOptions>().toEqualTypeOf<Sampling>();
expectTypeOf<GenerateOptions>().toEqualTypeOf<Generate>();
expectTypeOf<CompleteOptions>().toEqualTypeOf<Complete>();
expectTypeOf<TokenizeOptions>().toEqualTypeOf<Tokenize>();
expectTypeOf<CountOptions>().toEqualTypeOf<Count>();
expectTypeOf<LogitsOptions>().toEqualTypeOf<Score>();
expectTypeOf<ImageOptions>().toEqualTypeOf<Image>();
expectTypeOf<EncodeImageOptions>().toEqualTypeOf<Encode>();
expectTypeOf<ChatOptions>().toEqualTypeOf<{
  system?: string | null | undefined;
  overflow?: 'error' | 'drop-oldest' | undefined;
}>();
expectTypeOf<Device>().toEqualTypeOf<'auto' | 'cpu' | 'cuda' | 'metal' | 'vulkan'>();
expectTypeOf<LoadOptions>().toEqualTypeOf<{
  device?: Device | undefined;
  gpuLayers?: number | undefined;
  visionDevice?: Device | undefined;
  threads?: number | undefined;
  contextSize?: number | undefined;
  maxSequences?: number | undefined;
  kvType?: 'auto' | 'f32' | 'f16' | 'q8_0' | undefined;
  imageMode?: ImageMode | undefined;
  tokenizerStyle?: 'slow' | 'fast' | undefined;
  slidingWindow?: number | undefined;
  onProgress?: ((fraction: number) => void) | undefined;
  signal?: AbortSignal | undefined;
}>();

export const biased: GenerateOptions = { logitBias: { 5: -Infinity, '20': 1.5 } };
// @ts-expect-error -- other libraries' spelling
export const spelling: GenerateOptions = { max_tokens: 5 };
// @ts-expect-error -- a number
export const temperature: GenerateOptions = { temperature: '0.7' };
// @ts-expect-error -- how many, not whether
export const logprobs: GenerateOptions = { logprobs: true };
// @ts-expect-error -- a bias is a number
export const bias: GenerateOptions = { logitBias: { 5: 'never' } };
// @ts-expect-error -- a chat's texts are never parsed for special tokens
export const special: GenerateOptions = { parseSpecial: true };
// @ts-expect-error -- not a way to make room
export const overflow: ChatOptions = { overflow: 'truncate' };
// @ts-expect-error -- a backend of ggml's that is not built
export const device: LoadOptions = { device: 'rocm' };
// @ts-expect-error -- the loader reports one number
export const loading: LoadOptions = { onProgress: ({ stage }) => stage };
// @ts-expect-error -- a controller's signal, not the controller
export const signal: LoadOptions = { signal: new AbortController() };
