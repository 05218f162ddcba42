// The shapes of what goes in and comes out. `npm run types` checks them; nothing here runs.
import type { Sharp } from 'sharp';
import { expectTypeOf } from 'vitest';
import type {
  Answer,
  Background,
  ChatTurn,
  Content,
  EncodedImage,
  FinishReason,
  ImageInput,
  ImageMode,
  ImagePart,
  ImageTimings,
  Logits,
  ModelInfo,
  ModelSource,
  OpenAiImagePart,
  OpenAiTextPart,
  Progress,
  RawImage,
  SpecialPart,
  TokenLogprob,
} from '../../lib/index.js';

expectTypeOf<FinishReason>().toEqualTypeOf<'stop' | 'stop-string' | 'length' | 'context' | 'cancelled'>();
expectTypeOf<Answer>().toEqualTypeOf<{
  text: string;
  tokens: Int32Array;
  finishReason: FinishReason;
  usage: { promptTokens: number; imageTokens: number; cachedTokens: number; completionTokens: number };
  timings: ImageTimings & { prefill: number; generate: number };
  logprobs?: TokenLogprob[];
}>();
expectTypeOf<TokenLogprob>().toEqualTypeOf<{
  token: number;
  logprob: number;
  top: { token: number; logprob: number }[];
}>();
expectTypeOf<Progress>().toEqualTypeOf<{ stage: 'images' | 'prompt'; fraction: number }>();

expectTypeOf<ImageMode>().toEqualTypeOf<'anyres' | 'squash' | 'pad'>();
expectTypeOf<Background>().toEqualTypeOf<string | { r: number; g: number; b: number }>();
expectTypeOf<RawImage>().toEqualTypeOf<{
  data: Uint8Array | Uint8ClampedArray;
  width: number;
  height: number;
  channels: 1 | 2 | 3 | 4;
}>();
expectTypeOf<EncodedImage>().toEqualTypeOf<{
  embeddings: Float32Array;
  tokenCount: number;
  width: number;
  tiles: { columns: number; rows: number };
  mode: ImageMode;
}>();
expectTypeOf<ImageTimings>().toEqualTypeOf<{
  decode: number;
  preprocess: number;
  vision: number;
  resample: number;
}>();
expectTypeOf<ImageInput>().toEqualTypeOf<
  string | URL | Uint8Array | ArrayBuffer | Blob | RawImage | Sharp | EncodedImage
>();
expectTypeOf<Buffer>().toExtend<ImageInput>();
expectTypeOf<File>().toExtend<ImageInput>();

expectTypeOf<ImagePart>().toEqualTypeOf<{
  image: ImageInput;
  mode?: ImageMode | undefined;
  orient?: boolean | undefined;
  background?: Background | undefined;
}>();
expectTypeOf<SpecialPart>().toEqualTypeOf<{ special: string }>();
expectTypeOf<OpenAiTextPart>().toEqualTypeOf<{ type: 'text'; text: string }>();
expectTypeOf<OpenAiImagePart>().toEqualTypeOf<{ type: 'image_url'; image_url: string | { url: string } }>();
expectTypeOf<Content>().toEqualTypeOf<
  string | readonly (string | ImagePart | SpecialPart | OpenAiTextPart | OpenAiImagePart)[]
>();
expectTypeOf<ChatTurn>().toEqualTypeOf<{
  readonly question: readonly (string | SpecialPart | { image: EncodedImage })[];
  readonly text: string;
  readonly finishReason: FinishReason;
}>();
// What a chat remembers can be asked again.
expectTypeOf<ChatTurn['question']>().toExtend<Content>();

expectTypeOf<ModelSource>().toEqualTypeOf<string | URL | { text: string | URL; vision: string | URL }>();
expectTypeOf<ModelInfo>().toEqualTypeOf<{
  readonly variant: string;
  readonly name: string;
  readonly imageMode: ImageMode | undefined;
  readonly tokenizerStyle: 'slow' | 'fast';
  readonly contextSize: number;
  readonly vocabSize: number;
  readonly width: number;
  readonly device: string;
  readonly gpuLayers: number;
  readonly visionDevice: string | undefined;
  readonly kvType: 'f32' | 'f16' | 'q8_0';
  readonly threads: number;
}>();
expectTypeOf<Logits>().toEqualTypeOf<{ tokens: Int32Array; logits: Float32Array; vocabSize: number }>();

expectTypeOf('What is this?').toExtend<Content>();
expectTypeOf([{ image: 'a.jpg' }, 'What is this?'] as const).toExtend<Content>();

// @ts-expect-error -- a picture needs its key
export const bare: Content = [new URL('file:///a.jpg')];
// @ts-expect-error -- bytes alone are no content
export const bytes: Content = new Uint8Array();
// @ts-expect-error -- not a mode
export const mode: ImagePart = { image: 'a.jpg', mode: 'crop' };
// @ts-expect-error -- a picture has three colours
export const background: ImagePart = { image: 'a.jpg', background: { r: 1, g: 2 } };
// @ts-expect-error -- no such number of channels
export const channels: RawImage = { data: new Uint8Array(5), width: 1, height: 1, channels: 5 };
// @ts-expect-error -- the language part alone is a string
export const source: ModelSource = { text: 'text.gguf' };
// @ts-expect-error -- OpenAI's other parts are not known
export const audio: Content = [{ type: 'input_audio', input_audio: {} }];
// @ts-expect-error -- not a reason
export const reason: FinishReason = 'error';
