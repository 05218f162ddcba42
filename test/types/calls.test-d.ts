// Every function, class and member by its type. `npm run types` checks them; nothing here runs.
import { expectTypeOf } from 'vitest';
import {
  type Answer,
  type AnswerStream,
  type Chat,
  type ChatOptions,
  type ChatTurn,
  type CompleteOptions,
  type Content,
  type CountOptions,
  type EncodedImage,
  type EncodeImageOptions,
  type ErrorCode,
  type GenerateOptions,
  type ImageInput,
  type LoadOptions,
  type Logits,
  type LogitsOptions,
  loadModel,
  type Model,
  type ModelInfo,
  type ModelSource,
  type TokenizeOptions,
  XgenmmError,
} from '../../lib/index.js';

declare const model: Model;
declare const chat: Chat;
declare const stream: AnswerStream;

expectTypeOf(loadModel).toEqualTypeOf<(source: ModelSource, options?: LoadOptions) => Promise<Model>>();

expectTypeOf(model).toExtend<AsyncDisposable>();
expectTypeOf(model.info).toEqualTypeOf<ModelInfo>();
expectTypeOf(model.chat).toEqualTypeOf<(options?: ChatOptions) => Chat>();
expectTypeOf(model.complete).toEqualTypeOf<
  (content: Content, options?: CompleteOptions) => Promise<Answer>
>();
expectTypeOf(model.stream).toEqualTypeOf<(content: Content, options?: CompleteOptions) => AnswerStream>();
expectTypeOf(model.encodeImage).toEqualTypeOf<
  (image: ImageInput, options?: EncodeImageOptions) => Promise<EncodedImage>
>();
expectTypeOf(model.logits).toEqualTypeOf<(content: Content, options?: LogitsOptions) => Promise<Logits>>();
expectTypeOf(model.tokenize).toEqualTypeOf<(string: string, options?: TokenizeOptions) => Int32Array>();
expectTypeOf(model.detokenize).toEqualTypeOf<(tokens: Int32Array | readonly number[]) => string>();
expectTypeOf(model.countTokens).toEqualTypeOf<
  (content: Content, options?: CountOptions) => Promise<number>
>();
expectTypeOf(model.dispose).toEqualTypeOf<() => Promise<void>>();
expectTypeOf(model[Symbol.asyncDispose]).toEqualTypeOf<() => Promise<void>>();

expectTypeOf(chat.ask).toEqualTypeOf<(content: Content, options?: GenerateOptions) => Promise<Answer>>();
expectTypeOf(chat.stream).toEqualTypeOf<(content: Content, options?: GenerateOptions) => AnswerStream>();
expectTypeOf(chat.fork).toEqualTypeOf<() => Chat>();
expectTypeOf(chat.history).toEqualTypeOf<readonly ChatTurn[]>();
expectTypeOf(chat.tokenCount).toEqualTypeOf<number>();

expectTypeOf(stream).toExtend<AsyncIterable<string>>();
expectTypeOf(stream.answer).toEqualTypeOf<() => Promise<Answer>>();
expectTypeOf(stream[Symbol.asyncIterator]).toEqualTypeOf<() => AsyncIterator<string, void, undefined>>();

const error = new XgenmmError('ERR_XGENMM_BUSY', 'Expected …, received …', { cause: 1 });
expectTypeOf<ConstructorParameters<typeof XgenmmError>>().toEqualTypeOf<
  [code: ErrorCode, message: string, options?: ErrorOptions | undefined]
>();
expectTypeOf(error).toExtend<Error>();
expectTypeOf(error.code).toEqualTypeOf<ErrorCode>();
expectTypeOf(error.name).toEqualTypeOf<string>();
expectTypeOf<ErrorCode>().toExtend<`ERR_XGENMM_${string}`>();

/** Wrong uses, each refused by the compiler; never called. */
export async function misuse(): Promise<void> {
  // @ts-expect-error -- a model is no function of a folder of options
  await loadModel({ file: 'model.gguf' });
  // @ts-expect-error -- a stream begins with the call, and is not a promise
  (await model.stream('hello').text) as string;
  // @ts-expect-error -- pictures are parts of the content
  await chat.ask('What is this?', { image: 'a.jpg' });
  // @ts-expect-error -- a list of pictures is content, not an image
  await model.encodeImage(['a.jpg']);
  // @ts-expect-error -- the answer is asked for
  for (const piece of stream) String(piece);
  // @ts-expect-error -- read only
  model.info.threads = 4;
  // @ts-expect-error -- read only
  chat.history = [];
  // @ts-expect-error -- what was said cannot be changed
  chat.history.push({ question: [], text: '', finishReason: 'stop' });
  // @ts-expect-error -- ids are numbers
  model.detokenize(['a']);
  // @ts-expect-error -- not a code
  new XgenmmError('ENOENT', 'no such file');
  // @ts-expect-error -- read only
  error.code = 'ERR_XGENMM_INTERNAL';
}
