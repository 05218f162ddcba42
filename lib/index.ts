/**
 * Begin with {@link loadModel}; `loadModel('demo')` needs no file of yours. A {@link Model} continues raw prompts, encodes pictures,
 * counts tokens, and makes a {@link Chat} for each conversation. What is asked is {@link Content}; the answer comes as an
 * {@link AnswerStream} or, whole, as an {@link Answer}. What shapes it: {@link GenerateOptions}. Whatever fails is an
 * {@link XgenmmError}, or the reason of the signal that was aborted.
 * @module xgen-mm
 */
export type { Answer, CompleteOptions, FinishReason, GenerateOptions } from './answer.js';
export type { Chat } from './chat.js';
export type { Content, ImagePart, OpenAiImagePart, OpenAiTextPart, SpecialPart } from './content.js';
export type { Device } from './device/gpu.js';
export type { EncodedImage, ImageTimings } from './encoded-image.js';
export { type ErrorCode, XgenmmError } from './errors.js';
export type { Background, ImageInput, ImageMode, ImageOptions, RawImage } from './image.js';
export { type LoadOptions, loadModel, type ModelSource } from './load.js';
export type {
  ChatOptions,
  CountOptions,
  EncodeImageOptions,
  Logits,
  LogitsOptions,
  Model,
  ModelInfo,
  TokenizeOptions,
} from './model.js';
export type { Progress } from './progress.js';
export type { SamplingOptions } from './sampling.js';
export type { AnswerStream } from './stream.js';
export type { TokenLogprob } from './token-logprob.js';
export type { ChatTurn } from './turn.js';
