import { orAborted } from '../abort.js';
import type { Engine } from '../engine.js';
import { XgenmmError } from '../errors.js';
import { decodeImage, type Pixels } from '../image.js';
import type { NativeSegment } from '../native.js';
import { DEFAULT_TEXTS, drawDefaultPictures } from './default-samples.js';
import { listPictures } from './picture-list.js';
import { readText } from './text-file.js';

/** Positions that a passage of text has at most: each is read from an empty context. */
export const PASSAGE_LENGTH = 512;
/** Enough for a passage, or for the largest number of tiles and what follows the picture. */
export const CONTEXT_SIZE = 1024;
/** Stands behind each picture. */
const PICTURE_PROMPT = '\nThis picture shows';
/** Positions of a picture, about: what it counts in the progress. */
const PICTURE_WEIGHT = 640;
/** Bytes of text that become a position, about. */
const BYTES_PER_TOKEN = 4;

/** What a model is run on in one go. */
export type Sample = {
  /** Where it comes from, for messages. */
  name: string;
  /** Token ids; -1 where the picture stands. */
  tokens: Int32Array;
  /** What part of all samples is done before this one, about: 0 to 1. */
  before: number;
} & ({ kind: 'text' } | { kind: 'picture'; pixels: Pixels });

/** Files that samples are made of; what is undefined is not asked for. */
export interface SampleFiles {
  /** UTF-8, at most 4 MiB each. */
  text?: readonly string[] | undefined;
  /** Pictures, and folders with pictures. */
  images?: readonly string[] | undefined;
}

interface Text {
  name: string;
  text: string;
}

interface Picture {
  name: string;
  open(signal: AbortSignal): Promise<Pixels>;
}

/** Texts and pictures that models are run on. */
export class Samples {
  private constructor(
    /** What they are read from: paths. */
    readonly files: readonly string[],
    private readonly texts: readonly Text[],
    private readonly pictures: readonly Picture[],
    /** Nobody has named any. */
    private readonly areDefault: boolean,
  ) {}

  /**
   * Reads the texts and finds the pictures; without any files there are texts and drawn pictures of our own. Throws as
   * {@link readText} and {@link listPictures} do.
   */
  static async open({ text, images }: SampleFiles): Promise<Samples> {
    if (text === undefined && images === undefined) {
      const texts = DEFAULT_TEXTS.map((text, i) => ({ name: `text ${i + 1}`, text }));
      const pictures = drawDefaultPictures().map((pixels, i) => ({
        name: `picture ${i + 1}`,
        open: async () => pixels,
      }));
      return new Samples([], texts, pictures, true);
    }
    const texts: Text[] = [];
    for (const path of text ?? []) texts.push({ name: path, text: await readText(path) });
    const paths = await listPictures(images ?? []);
    const pictures = paths.map((path) => ({
      name: path,
      open: (signal: AbortSignal) => orAborted(decodeImage(path, {}, signal), signal),
    }));
    return new Samples([...(text ?? []), ...paths], texts, pictures, false);
  }

  /**
   * What all these models can be run on. For a text-only one our own pictures are left out, which `onNote` is told; pictures that were asked
   * for throw ERR_XGENMM_MODEL_UNSUPPORTED.
   */
  for(models: readonly { engine: Engine; path: string }[], onNote: (note: string) => void): Samples {
    const blind = models.find(({ engine }) => engine.info.imageMode === '');
    if (blind === undefined || this.pictures.length === 0) return this;
    if (!this.areDefault) {
      throw new XgenmmError(
        'ERR_XGENMM_MODEL_UNSUPPORTED',
        `Expected a model with a vision part for --images, received ${blind.path}, which is a text-only model`,
      );
    }
    onNote(`${blind.path} is a text-only model: pictures are left out.`);
    return new Samples([], this.texts, [], true);
  }

  /**
   * Cuts the texts into passages and decodes the pictures, one after another, as `engine` counts tokens. Rejects with `signal.reason` or
   * what {@link decodeImage} throws.
   */
  async *read(engine: Engine, signal: AbortSignal): AsyncGenerator<Sample> {
    const weights = [
      ...this.texts.map(({ text }) => text.length / BYTES_PER_TOKEN),
      ...this.pictures.map(() => PICTURE_WEIGHT),
    ];
    const all = weights.reduce((sum, weight) => sum + weight, 0);
    let done = 0;
    for (const [index, { name, text }] of this.texts.entries()) {
      const weight = weights[index] as number;
      const tokens = engine.tokenize([{ kind: 'text', text }], false);
      const length = Math.min(PASSAGE_LENGTH, engine.info.contextSize);
      for (let begin = 0; begin < tokens.length; begin += length) {
        const before = (done + (weight * begin) / tokens.length) / all;
        yield { kind: 'text', name, tokens: tokens.slice(begin, begin + length), before };
      }
      done += weight;
    }
    const segments: NativeSegment[] = [{ kind: 'image' }, { kind: 'text', text: PICTURE_PROMPT }];
    for (const { name, open } of this.pictures) {
      const pixels = await open(signal);
      const tokens = engine.tokenize(segments, false);
      yield { kind: 'picture', name, tokens, pixels, before: done / all };
      done += PICTURE_WEIGHT;
    }
  }
}
