import type { Answer, FinishReason } from './answer.js';
import type { Part, SpecialPart } from './content.js';
import type { EncodedImage } from './encoded-image.js';
import { countPositions, type Passage } from './passage.js';

/** A question and its answer as `chat.history` shows them: frozen plain data. */
export interface ChatTurn {
  /** As it was asked, but with its pictures encoded: content that any chat of a model with the same weights can be asked again. */
  readonly question: readonly (
    | string
    | SpecialPart
    | {
        /** A picture of the question. */
        image: EncodedImage;
      }
  )[];
  /** The answer, without the stop string. */
  readonly text: string;
  /** `cancelled`: the answer stops where it was cut off. */
  readonly finishReason: FinishReason;
}

type Asked = ChatTurn['question'][number];

/** A turn of a chat as token ids, which are never tokenised again. It never changes, so forks share it. */
export class Turn {
  /** The question as it stands in the prompt, the opening of the answer included; the answer; what closes it. */
  readonly passages: readonly Passage[];
  readonly positions: number;
  readonly #parts: readonly Asked[];
  readonly #answer: Pick<Answer, 'text' | 'finishReason'>;
  #record: ChatTurn | undefined;

  /** `asked`: what was made of `parts`; `closing`: the tokens that follow an answer. */
  constructor(parts: readonly Part[], asked: Passage, answer: Answer, closing: Int32Array) {
    const { tokens, images } = asked;
    const text = new Int32Array(answer.tokens.length + closing.length);
    text.set(answer.tokens);
    text.set(closing, answer.tokens.length);
    this.passages = [
      { tokens, images },
      { tokens: text, images: [] },
    ];
    this.positions = this.passages.reduce((sum, passage) => sum + countPositions(passage), 0);
    let k = 0;
    this.#parts = parts.map((part): Asked => {
      if (part.kind === 'image') return { image: images[k++] as EncodedImage };
      return part.kind === 'special' ? { special: part.text } : part.text;
    });
    this.#answer = { text: answer.text, finishReason: answer.finishReason };
  }

  /** For the caller, who can neither change nor transfer what the chat goes on with: the pictures are copied at the first look. */
  get record(): ChatTurn {
    this.#record ??= Object.freeze({
      question: Object.freeze(this.#parts.map(copied)),
      text: this.#answer.text,
      finishReason: this.#answer.finishReason,
    });
    return this.#record;
  }
}

function copied(part: Asked): Asked {
  if (typeof part === 'string') return part;
  if (!('image' in part)) return Object.freeze({ ...part });
  const { embeddings, tiles, ...rest } = part.image;
  const image = { ...rest, embeddings: embeddings.slice(), tiles: Object.freeze({ ...tiles }) };
  return Object.freeze({ image: Object.freeze(image) });
}
