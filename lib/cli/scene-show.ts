import { basename } from 'node:path';
import type { Answer } from '../answer.js';
import type { Chat } from '../chat.js';
import type { Content } from '../content.js';
import { measureImage } from '../image.js';
import type { Model } from '../model.js';
import { showProgress } from './answer-output.js';
import { questionsOf, SCENE_OPTIONS, type Scene } from './scene.js';
import { StageBar } from './stage-bar.js';
import type { Protocol } from './thumbnail/protocol.js';
import { drawThumbnail } from './thumbnail/thumbnail.js';
import { judge, type Verdict } from './verdict.js';
import { visible } from './visible.js';

const LABEL = '  answer    ';

/** An answer that was shown. */
export interface ShownAnswer {
  verdict: Verdict;
  timings: Answer['timings'];
}

/** Shows on stdout what a model says of scenes, and whether that is right. */
export class SceneShow {
  readonly #model: Model;
  readonly #protocol: Protocol | undefined;
  readonly #signal: AbortSignal;

  /** `protocol`: how the terminal takes pictures, if it does. */
  constructor(model: Model, protocol: Protocol | undefined, signal: AbortSignal) {
    this.#model = model;
    this.#protocol = protocol;
    this.#signal = signal;
  }

  /** Shows the pictures and asks the questions in one chat. */
  async show(scene: Scene): Promise<ShownAnswer[]> {
    for (const picture of scene.pictures) await this.#showPicture(picture);
    const chat = this.#model.chat();
    const shown: ShownAnswer[] = [];
    for (const [turn, content] of questionsOf(scene).entries()) {
      const { question, answer } = scene.turns[turn] as Scene['turns'][number];
      process.stdout.write(`  question  ${visible(question)}\n`);
      const pictures = turn === 0 ? scene.pictures.length : 0;
      shown.push(await this.#answer(chat, content, pictures, answer));
    }
    return shown;
  }

  async #showPicture(picture: string): Promise<void> {
    const { width, height } = await measureImage(picture, {}, this.#signal);
    process.stdout.write(`${visible(basename(picture))}, ${width} x ${height}\n`);
    // What is wrong with a picture is said when it is asked about, with or without thumbnails.
    if (this.#protocol !== undefined) {
      process.stdout.write(await drawThumbnail(picture, this.#protocol).catch(() => ''));
    }
    this.#signal.throwIfAborted();
  }

  /** Prints the answer as it comes, and behind it what to think of it. */
  async #answer(chat: Chat, content: Content, pictures: number, truth: string): Promise<ShownAnswer> {
    const bar = new StageBar();
    let open = false;
    try {
      const options = { ...SCENE_OPTIONS, ...showProgress(bar, pictures), signal: this.#signal };
      const stream = chat.stream(content, options);
      for await (const piece of stream) {
        bar.clear();
        process.stdout.write(`${open ? '' : LABEL}${inLine(piece)}`);
        open = true;
      }
      bar.clear();
      const { text, timings } = await stream.answer();
      const verdict = judge(text, truth);
      process.stdout.write(`${open ? '' : LABEL}  ${dim(remark(verdict, truth))}`);
      open = true;
      return { verdict, timings };
    } finally {
      bar.clear();
      if (open) process.stdout.write('\n');
    }
  }
}

function remark({ right, iou }: Verdict, truth: string): string {
  const notes = iou === undefined ? [] : [`IoU ${iou.toFixed(2)}`];
  if (!right) notes.push(`it is ${inLine(truth)}`);
  return [right ? '✓' : '✗', notes.join(', ')].join(' ').trimEnd();
}

/** What a model says, as part of a line. */
function inLine(text: string): string {
  return visible(text).replace(/[\t\n]/g, ' ');
}

function dim(text: string): string {
  return process.stdout.isTTY && process.stdout.hasColors() ? `\x1b[2m${text}\x1b[22m` : text;
}
