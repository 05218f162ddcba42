import { type Answer, GENERATE_RULES, type GenerateOptions, generateAnswer } from './answer.js';
import type { ChatTemplate } from './chat-template.js';
import { type Content, type Part, parseContent } from './content.js';
import type { Engine } from './engine.js';
import { XgenmmError } from './errors.js';
import type { ImageMode } from './image.js';
import type { NativeGenerateOptions } from './native.js';
import { checkOptions } from './options.js';
import { countPositions, joinPassages } from './passage.js';
import { type OnProgress, withProgress } from './progress.js';
import { buildPrompt, checkLength, type Prompt } from './prompt.js';
import { toNativeOptions } from './sampling.js';
import { AnswerStream } from './stream.js';
import { type ChatTurn, Turn } from './turn.js';

interface ChatSettings {
  imageMode: ImageMode | undefined;
  overflow: 'error' | 'drop-oldest';
}

interface Question {
  parts: readonly Part[];
  options: NativeGenerateOptions;
  onProgress: OnProgress | undefined;
}

/** A conversation: each question is answered in the light of the turns before it. Made by `model.chat()`; holds nothing to dispose. */
export class Chat {
  readonly #engine: Engine;
  readonly #template: ChatTemplate;
  readonly #settings: ChatSettings;
  #turns: readonly Turn[];
  #busy = false;

  /** @internal */
  constructor(engine: Engine, template: ChatTemplate, settings: ChatSettings, turns: readonly Turn[] = []) {
    this.#engine = engine;
    this.#template = template;
    this.#settings = settings;
    this.#turns = turns;
  }

  /**
   * The turns that the next question is answered in the light of, the oldest first; it stays readable after `model.dispose()`. All of
   * it is frozen but the embeddings of its pictures, which are copies, made at the first look and shared by later ones.
   */
  get history(): readonly ChatTurn[] {
    return Object.freeze(this.#turns.map(({ record }) => record));
  }

  /** Positions that the next prompt has before its question: system sentence and turns. 0 before the first turn. */
  get tokenCount(): number {
    return this.#turns.length === 0 ? 0 : this.#positions(this.#turns);
  }

  /**
   * A second chat with the same turns so far; from then on neither knows of the other. It costs no computing where the engine still
   * has the turns. Throws ERR_XGENMM_BUSY while a turn is being answered, and ERR_XGENMM_DISPOSED.
   */
  fork(): Chat {
    this.#engine.assertLive();
    this.#assertAtRest('a call of fork()');
    return new Chat(this.#engine, this.#template, this.#settings, this.#turns);
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
   * ERR_XGENMM_DISPOSED; the stream fails with ERR_XGENMM_CONTEXT_OVERFLOW or what fetching or decoding a picture throws.
   */
  stream(content: Content, options?: GenerateOptions): AnswerStream {
    const checked = checkOptions(options, GENERATE_RULES, 'chat.stream()');
    const { fetchImages, onProgress, signal } = checked;
    const question = {
      parts: parseContent(content, fetchImages),
      options: toNativeOptions(checked, this.#engine.info, 'chat.stream()'),
      onProgress,
    };
    this.#engine.assertLive();
    this.#assertAtRest('a question');
    return new AnswerStream((emit, signal) => this.#answer(question, emit, signal), signal, this.stream);
  }

  async #answer(
    { parts, options, onProgress }: Question,
    emit: (text: string) => void,
    stop: AbortSignal,
  ): Promise<Answer> {
    this.#busy = true;
    try {
      const { answer, asked, kept } = await withProgress(onProgress, stop, async (report, signal) => {
        const settings = {
          parseSpecial: false,
          imageMode: this.#settings.imageMode,
          before: this.#positions(this.#settings.overflow === 'error' ? this.#turns : []),
        };
        const asked = await buildPrompt(
          this.#engine,
          this.#template.question(parts),
          settings,
          report,
          signal,
        );
        const kept =
          this.#settings.overflow === 'error' ? this.#turns : this.#newest(asked, options.maxTokens);
        const opening = { tokens: this.#template.opening, images: [] };
        const whole = joinPassages([opening, ...kept.flatMap(({ passages }) => passages), asked]);
        const listeners = { emit, report, signal };
        const answer = await generateAnswer(this.#engine, whole, asked.timings, options, listeners);
        return { answer, asked, kept };
      });
      if (answer.finishReason !== 'cancelled' || answer.tokens.length > 0) {
        this.#turns = [...kept, new Turn(parts, asked, answer, this.#template.closing)];
      }
      return answer;
    } finally {
      this.#busy = false;
    }
  }

  /** The turns that stay when a question has to have room: all, or those that leave half of the context free. */
  #newest(asked: Prompt, maxTokens: number): readonly Turn[] {
    const { contextSize } = this.#engine.info;
    const question = countPositions(asked);
    const free = (turns: readonly Turn[]) => contextSize - this.#positions(turns) - question;
    if (free(this.#turns) >= Math.min(maxTokens, contextSize / 4)) return this.#turns;
    let kept = this.#turns.slice(1);
    while (kept.length > 0 && free(kept) < contextSize / 2) kept = kept.slice(1);
    checkLength(this.#positions(kept) + question, contextSize);
    return kept;
  }

  /** Those of the opening and of some turns. */
  #positions(turns: readonly Turn[]): number {
    return turns.reduce((sum, turn) => sum + turn.positions, this.#template.opening.length);
  }

  #assertAtRest(received: string): void {
    if (!this.#busy) return;
    throw new XgenmmError(
      'ERR_XGENMM_BUSY',
      `Expected a chat at rest, received ${received} while another question is being answered`,
    );
  }
}
