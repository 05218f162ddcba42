import type { Answer, GenerateOptions } from '../answer.js';
import type { Chat } from '../chat.js';
import { XgenmmError } from '../errors.js';
import type { ChatOptions, Model } from '../model.js';
import { printAnswer, showProgress } from './answer-output.js';
import { CHAT_HELP, type ChatLine, checkPicture, parseChatLine } from './chat-line.js';
import { describeFailure } from './failure.js';
import type { Interruption } from './interruption.js';
import { LineInput } from './line-input.js';
import { StageBar } from './stage-bar.js';

const STOPPED = new Error('the answer was stopped');

/** A chat with whoever writes lines on stdin. */
export class ChatSession {
  readonly #model: Model;
  readonly #chatOptions: ChatOptions;
  readonly #options: GenerateOptions;
  readonly #interruption: Interruption;
  readonly #input: LineInput;
  #chat: Chat;
  /** For the next question. */
  #pictures: string[] = [];
  /** The answer that is under way. */
  #answering: AbortController | undefined;
  /** Whether the next Ctrl-C leaves. */
  #warned = false;
  #failed = false;

  constructor(model: Model, chatOptions: ChatOptions, options: GenerateOptions, interruption: Interruption) {
    this.#model = model;
    this.#chatOptions = chatOptions;
    this.#options = options;
    this.#interruption = interruption;
    this.#chat = model.chat(chatOptions);
    interruption.onInterrupt = () => this.#interrupt();
    this.#input = new LineInput({
      onInterrupt: () => this.#interrupt(),
      onKey: () => {
        this.#warned = false;
      },
    });
  }

  /**
   * Answers line by line until the end of stdin or /quit. What goes wrong in a turn is said on stderr; the exit code tells of it unless
   * somebody was there to read it. Rejects with the reason of the interruption's signal.
   */
  async run(): Promise<void> {
    const { signal } = this.#interruption;
    this.#say(`${this.#model.info.contextSize} positions; /help lists the commands`);
    const close = () => this.#input.close();
    signal.addEventListener('abort', close);
    try {
      for (;;) {
        const line = await this.#input.next(this.#prompt);
        signal.throwIfAborted();
        if (line === undefined) break;
        try {
          const parsed = parseChatLine(line);
          if (parsed.kind === 'quit') break;
          await this.#obey(parsed);
        } catch (error) {
          signal.throwIfAborted();
          process.stderr.write(describeFailure(error));
          this.#failed = true;
        }
      }
    } finally {
      signal.removeEventListener('abort', close);
      this.#input.close();
      if (this.#failed && !this.#input.interactive) process.exitCode = 1;
    }
  }

  get #prompt(): string {
    const count = this.#pictures.length;
    if (count === 0) return '> ';
    return `[${count} ${count === 1 ? 'picture' : 'pictures'}] > `;
  }

  async #obey(line: Exclude<ChatLine, { kind: 'quit' }>): Promise<void> {
    if (line.kind === 'question') await this.#ask(line.text);
    else if (line.kind === 'image') await this.#addPicture(line.location);
    else if (line.kind === 'help') process.stderr.write(CHAT_HELP);
    else if (line.kind === 'reset') this.#reset();
  }

  #reset(): void {
    this.#chat = this.#model.chat(this.#chatOptions);
    this.#pictures = [];
    this.#say('a new chat');
  }

  async #addPicture(location: string): Promise<void> {
    if (this.#model.info.imageMode === undefined) {
      throw new XgenmmError(
        'ERR_XGENMM_MODEL_UNSUPPORTED',
        'Expected a model with a vision part for /image, received a text-only one',
      );
    }
    await checkPicture(location);
    this.#pictures.push(location);
  }

  async #ask(question: string): Promise<void> {
    const pictures = this.#pictures.splice(0);
    const bar = new StageBar();
    this.#answering = new AbortController();
    try {
      const stream = this.#chat.stream([...pictures.map((image) => ({ image })), question], {
        ...this.#options,
        ...showProgress(bar, pictures.length),
        // The user has named the URLs.
        fetchImages: true,
        signal: AbortSignal.any([this.#interruption.signal, this.#answering.signal]),
      });
      await printAnswer(stream, bar);
      // A Ctrl-C between the last word and here is the first in a row.
      if (!this.#answering.signal.aborted) this.#warned = false;
      this.#say(summary(await stream.answer()));
    } catch (error) {
      if (error !== STOPPED) throw error;
      this.#say('stopped');
    } finally {
      bar.clear();
      this.#answering = undefined;
    }
  }

  #interrupt(): void {
    const waiting = this.#answering === undefined;
    // Where no prompt comes between the answers, the second Ctrl-C in a row leaves also while answering.
    const counts = waiting || !this.#input.interactive;
    if (counts && this.#warned) {
      this.#interruption.leave();
      return;
    }
    this.#warned = counts;
    this.#answering?.abort(STOPPED);
    if (!waiting) return;
    this.#pictures = [];
    this.#input.restart('Ctrl-C again leaves, as /quit does', this.#prompt);
  }

  /** A remark for somebody at a terminal. */
  #say(remark: string): void {
    if (!process.stderr.isTTY) return;
    const dim = process.stderr.hasColors() && remark !== '';
    process.stderr.write(dim ? `\x1b[2m${remark}\x1b[22m\n` : `${remark}\n`);
  }
}

function summary({ usage, timings, finishReason }: Answer): string {
  const { completionTokens, promptTokens, cachedTokens } = usage;
  const remarks = [`${completionTokens} ${completionTokens === 1 ? 'token' : 'tokens'}`];
  // The first token comes with the prompt.
  if (completionTokens > 1 && timings.generate > 0)
    remarks.push(`${(((completionTokens - 1) * 1000) / timings.generate).toFixed(1)} tokens/s`);
  remarks.push(`${cachedTokens} of ${promptTokens} prompt positions cached`);
  if (finishReason === 'length') remarks.push('cut off by --max-tokens');
  if (finishReason === 'context') remarks.push('cut off: the context is full');
  return remarks.join(', ');
}
