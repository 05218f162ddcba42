import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Content, ImageInput, ImageMode, ImagePart } from '../../lib/index.js';
import { fixture } from '../files.js';
import { readSafetensors, type Tensor } from './safetensors.js';

interface CaseFile {
  image_mode: 'anyres' | 'pad' | 'none';
  tokenizer_style: 'slow' | 'fast';
  prompt: string;
  positions: number;
  images: {
    file: string;
    tiles: number;
    grid_cols?: number;
    grid_rows?: number;
    width: number;
    height: number;
  }[];
  greedy_ids: number[];
  first_stop_index: number | null;
  text_hex_all: string;
  text_hex_until_stop: string;
  repetition_penalty?: number;
  greedy_ids_with_penalty?: number[];
}

const CHAT_START = /^<\|system\|>\n.*?<\|end\|>\n<\|user\|>\n/s;
const CHAT_END = '<|end|>\n<|assistant|>\n';

/** One folder of test/fixtures/cases or test/fixtures/wide/cases/MODEL. */
export class GoldenCase {
  readonly json: CaseFile;
  readonly #tensors: Map<string, Tensor>;

  constructor(
    readonly name: string,
    readonly folder: string,
  ) {
    this.json = JSON.parse(readFileSync(join(folder, 'case.json'), 'utf8')) as CaseFile;
    this.#tensors = readSafetensors(join(folder, 'expected.safetensors'));
  }

  get mode(): ImageMode {
    return this.json.image_mode === 'none' ? 'squash' : this.json.image_mode;
  }

  shape(name: string): number[] {
    return this.#tensor(name).shape;
  }

  floats(name: string): Float32Array {
    return this.#tensor(name).values as Float32Array;
  }

  ints(name: string): Int32Array {
    return this.#tensor(name).values as Int32Array;
  }

  /** Picture k: the file, but the reference's pixels of a JPEG, since decoders differ by a level or two. */
  picture(k: number): ImageInput {
    const path = this.pictureFile(k);
    if (!path.endsWith('.jpg')) return path;
    const { shape, values } = this.#tensor(`image_${k}_rgb`);
    const [height = 0, width = 0] = shape;
    return { data: values as Uint8Array, width, height, channels: 3 };
  }

  pictureFile(k: number): string {
    return join(this.folder, this.json.images[k]?.file ?? '');
  }

  /** The whole prompt, for `parseSpecial: true`, with pictures where its `<image>` tokens (and the placeholders behind them) stand. */
  rawContent(): Content {
    return this.#withPictures(this.json.prompt);
  }

  /**
   * What a user of `chat()` asks, with or without the newline that a chat puts after a picture; undefined if the prompt is not a
   * single turn, or has something else after a picture.
   */
  question(newline: '\n' | '' = ''): Content | undefined {
    const { prompt } = this.json;
    const start = CHAT_START.exec(prompt)?.[0];
    if (start === undefined || !prompt.endsWith(CHAT_END)) return undefined;
    const question = prompt.slice(start.length, -CHAT_END.length);
    if (question.includes('<|') || /<image>\S/.test(question)) return undefined;
    return this.#withPictures(question.replaceAll('<image>\n', `<image>${newline}`));
  }

  /** `prompt_ids` with -1-k for the k-th `<image>`. */
  promptTokens(imageToken: number): Int32Array {
    let k = 0;
    return this.ints('prompt_ids').map((id) =>
      id === imageToken && k < this.json.images.length ? -1 - k++ : id,
    );
  }

  /** Ids of the greedy answer up to its stop token. */
  get answer(): number[] {
    const { greedy_ids, first_stop_index } = this.json;
    return greedy_ids.slice(0, first_stop_index ?? greedy_ids.length);
  }

  get answerText(): string {
    return decodeHex(this.json.text_hex_until_stop);
  }

  #withPictures(text: string): Content {
    const [first = '', ...rest] = text.split(/<image>(?:<image placeholder>)*/);
    return [first, ...rest.flatMap((after, k): [ImagePart, string] => [this.#imagePart(k), after])];
  }

  #imagePart(k: number): ImagePart {
    return { image: this.picture(k), mode: this.mode };
  }

  #tensor(name: string): Tensor {
    const tensor = this.#tensors.get(name);
    if (tensor === undefined) throw new Error(`${this.name} has no ${name}`);
    return tensor;
  }
}

/** All cases of a folder below test/fixtures. */
export function goldenCases(...folder: string[]): GoldenCase[] {
  const path = fixture(...folder);
  return readdirSync(path)
    .sort()
    .map((name) => new GoldenCase(name, join(path, name)));
}

/** The text of hexadecimal bytes, ill-formed ones as U+FFFD. */
export function decodeHex(hex: string): string {
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(Buffer.from(hex, 'hex'));
}
