import { type Part, specialPart, textPart, toSegment } from './content.js';
import type { Engine } from './engine.js';

/** The sentence that the instruct models were trained with (MODEL 1.11). */
export const DEFAULT_SYSTEM =
  "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, detailed, and polite answers to the user's questions.";

/** The family's chat template. Added tokens cut a text for the tokenizer, so that turns can be tokenised one by one. */
export class ChatTemplate {
  /** What a chat begins with: the system sentence, or just what the tokenizer puts in front of any prompt. */
  readonly opening: Int32Array;
  /** What follows an answer. */
  readonly closing: Int32Array;
  readonly #imageSeparator: string;

  /** `system`: empty for none. */
  constructor(engine: Engine, system: string) {
    const parts = system === '' ? [] : [specialPart('<|system|>'), textPart(`\n${system}`), ...END];
    // The beginning of the first question stands in for it.
    const begun = engine.tokenize([...parts, specialPart('<|user|>')].map(toSegment), false);
    this.opening = begun.slice(0, -1);
    this.closing = engine.tokenize(END.map(toSegment), false, true);
    this.#imageSeparator = engine.info.imageSeparator;
  }

  /** A question as it stands in the prompt, with the opening of its answer. */
  question(parts: readonly Part[]): Part[] {
    return [
      specialPart('<|user|>'),
      textPart('\n'),
      ...this.#separateImages(parts),
      ...END,
      specialPart('<|assistant|>'),
      textPart('\n'),
    ];
  }

  /** Puts the separator after each picture unless the next text starts with whitespace. */
  #separateImages(parts: readonly Part[]): Part[] {
    const separator = this.#imageSeparator;
    return parts.flatMap((part, index) => {
      const next = parts[index + 1];
      const separated = next?.kind === 'text' && /^\s/.test(next.text);
      return part.kind === 'image' && !separated && separator !== '' ? [part, textPart(separator)] : [part];
    });
  }
}

const END: readonly Part[] = [specialPart('<|end|>'), textPart('\n')];
