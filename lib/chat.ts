import { type Answer, GENERATE_RULES, type GenerateOptions, generateAnswer } from './answer.js';
import { type Content, type Part, parseContent, specialPart, textPart } from './content.js';
import type { Engine } from './engine.js';
import { XgenmmError } from './errors.js';
import type { ImageMode } from './image.js';
import type { NativePrompt } from './native.js';
import { checkOptions } from './options.js';
import { appendTokens, buildPrompt, EMPTY_PROMPT } from './prompt.js';
import { AnswerStream } from './stream.js';

/** The sentence that the instruct models were trained with (MODEL 1.11). */
export const DEFAULT_SYSTEM =
  "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, detailed, and polite answers to the user's questions.";

/** A conversation: each question is answered in the light of the turns before it. Made by `model.chat()`; holds nothing to dispose. */
export class Chat {
  readonly #engine: Engine;
  readonly #imageMode: ImageMode | undefined;
  readonly #system: string;
  /** All turns so far as tokens, up to the end of the last answer; they are never tokenised again. */
  #history: NativePrompt = EMPTY_PROMPT;
  #busy = false;

  /** @internal */
  constructor(engine: Engine, imageMode: ImageMode | undefined, system: string) {
    this.#engine = engine;
    this.#imageMode = imageMode;
    this.#system = system;
  }

  /**
   * The next turn. A turn that fails, or is cancelled before its first token, leaves the chat as it was; one cancelled later stays as
   * far as it came. Rejects with `signal.reason` or an XgenmmError; see {@link stream}.
   */
  async ask(content: Content, options?: GenerateOptions): Promise<Answer> {
    return this.stream(content, options).answer();
  }

  /**
   * The next turn, piece by piece. Throws ERR_XGENMM_INVALID_ARGUMENT, ERR_XGENMM_BUSY while another turn is being answered, and
   * ERR_XGENMM_DISPOSED; the stream fails with ERR_XGENMM_CONTEXT_OVERFLOW or what decoding a picture throws.
   */
  stream(content: Content, options?: GenerateOptions): AnswerStream {
    const checked = checkOptions(options, GENERATE_RULES, 'chat.stream()');
    const question = parseContent(content);
    this.#engine.assertLive();
    if (this.#busy) {
      throw new XgenmmError(
        'ERR_XGENMM_BUSY',
        'Expected a chat at rest, received a question while another is being answered',
      );
    }
    return new AnswerStream(
      (emit, signal) => this.#answer(question, checked, emit, signal),
      checked.signal,
      this.stream,
    );
  }

  async #answer(
    question: Part[],
    options: GenerateOptions,
    emit: (text: string) => void,
    signal: AbortSignal,
  ): Promise<Answer> {
    this.#busy = true;
    try {
      const settings = { parseSpecial: false, imageMode: this.#imageMode };
      const prompt = await buildPrompt(this.#engine, this.#history, this.#turn(question), settings, signal);
      const answer = await generateAnswer(this.#engine, prompt, options, emit, signal);
      if (answer.finishReason !== 'cancelled' || answer.tokens.length > 0) {
        this.#history = { tokens: appendTokens(prompt.tokens, answer.tokens), images: prompt.images };
      }
      return answer;
    } finally {
      this.#busy = false;
    }
  }

  /** What a question adds to the prompt: the system sentence or the end of the last answer, the question, the answer's opening. */
  #turn(question: Part[]): Part[] {
    return [
      ...(this.#history.tokens.length > 0 ? [specialPart('<|end|>'), textPart('\n')] : this.#opening()),
      specialPart('<|user|>'),
      textPart('\n'),
      ...separateImages(question, this.#engine.info.imageSeparator),
      specialPart('<|end|>'),
      textPart('\n'),
      specialPart('<|assistant|>'),
      textPart('\n'),
    ];
  }

  #opening(): Part[] {
    if (this.#system === '') return [];
    return [specialPart('<|system|>'), textPart(`\n${this.#system}`), specialPart('<|end|>'), textPart('\n')];
  }
}

/** Puts `separator` after each picture unless the next text starts with whitespace. */
function separateImages(parts: Part[], separator: string): Part[] {
  return parts.flatMap((part, index) => {
    const next = parts[index + 1];
    const separated = next?.kind === 'text' && /^\s/.test(next.text);
    return part.kind === 'image' && !separated && separator !== '' ? [part, textPart(separator)] : [part];
  });
}
