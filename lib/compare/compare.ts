import type { Engine } from '../engine.js';
import { XgenmmError } from '../errors.js';
import type { NativeImageMode, NativeModule, NativePrompt } from '../native.js';
import type { RunOptions } from '../samples/sample-model.js';
import { type Sample, type SampleFiles, Samples } from '../samples/samples.js';
import { type CurvePoint, type Divergence, DivergenceTally } from './divergence.js';
import { type EmbeddingError, EmbeddingTally } from './embedding-tally.js';
import { type ModelFile, ModelPair } from './model-pair.js';
import { compareRows, indexOfNonFinite, logProbability, VectorError } from './statistics.js';

/** How model b differs from model a, the reference. */
export interface Comparison {
  files: { a: ModelFile; b: ModelFile };
  /** Of all positions, and of those of text passages and of pictures with what follows them, where there are any. */
  divergence: { all: Divergence; texts?: Divergence | undefined; pictures?: Divergence | undefined };
  /** exp of the mean negative log-probability of each token of the texts but the first of a passage; absent without such tokens. */
  perplexity?: { a: number; b: number; tokens: number } | undefined;
  /** Absent without pictures. */
  embeddings?: EmbeddingError | undefined;
  /** Relative L2 error of the residual stream: of what enters the first layer, then of what each layer gives. */
  layers: number[];
  curves: { texts: CurvePoint[]; pictures: CurvePoint[] };
}

export interface CompareOptions extends SampleFiles, RunOptions {
  /** Told a sentence where something was left out. */
  onNote(note: string): void;
}

/**
 * Runs two models on the same samples. Both are loaded at the same time, because what is compared does not fit anywhere: the logits of a
 * position are 128 kB for the real vocabulary. Of each sample they are held, compared and let go: less than 1 GB for both real models.
 *
 * `a`, `b`: paths. Rejects with `signal.reason` or an XgenmmError: ERR_XGENMM_INVALID_ARGUMENT for models that cannot be compared or samples
 * that cannot be used, ERR_XGENMM_MODEL_UNSUPPORTED for pictures that one of them cannot see, ERR_XGENMM_MODEL_INVALID where a model
 * gives no numbers, and what `loadModel()` and reading a picture throw.
 */
export async function compare(
  addon: NativeModule,
  a: string,
  b: string,
  { text, images, onNote, ...options }: CompareOptions,
): Promise<Comparison> {
  const samples = await Samples.open({ text, images });
  const pair = await ModelPair.open(addon, a, b, options);
  try {
    const run = new Run(pair, options.signal);
    const models = [
      { engine: pair.a, path: a },
      { engine: pair.b, path: b },
    ];
    for await (const sample of samples.for(models, onNote).read(pair.a, options.signal)) {
      options.onProgress('Comparing', sample.before);
      await run.add(sample);
    }
    return run.result();
  } finally {
    await pair.dispose();
  }
}

class Run {
  readonly #texts = new DivergenceTally();
  readonly #pictures = new DivergenceTally();
  readonly #embeddings = new EmbeddingTally();
  readonly #layers: VectorError[] = [];
  readonly #surprise = { a: 0, b: 0, tokens: 0 };

  constructor(
    private readonly pair: ModelPair,
    private readonly signal: AbortSignal,
  ) {}

  async add(sample: Sample): Promise<void> {
    const { a, b } = this.pair;
    const prompts = await this.#prompts(sample);
    const first = await a.computeLogits(prompts.a, 0, true, this.signal);
    const second = await b.computeLogits(prompts.b, 0, true, this.signal);
    this.#addLayers(first.hidden, second.hidden, first.tokens.length);
    const tally = sample.kind === 'text' ? this.#texts : this.#pictures;
    for (let position = 0; position < first.tokens.length; position++) {
      const rowA = this.#row(first, position, sample, 'a');
      const rowB = this.#row(second, position, sample, 'b');
      tally.add(position, compareRows(rowA, rowB));
      const next = sample.tokens[position + 1];
      if (sample.kind !== 'text' || next === undefined) continue;
      this.#surprise.a -= logProbability(rowA, next);
      this.#surprise.b -= logProbability(rowB, next);
      this.#surprise.tokens++;
    }
    // A passage's rows take a second or so.
    await new Promise(setImmediate);
    this.signal.throwIfAborted();
  }

  result(): Comparison {
    const { a, b, tokens } = this.#surprise;
    return {
      files: this.pair.files,
      divergence: {
        all: DivergenceTally.summarise(this.#texts, this.#pictures) as Divergence,
        texts: DivergenceTally.summarise(this.#texts),
        pictures: DivergenceTally.summarise(this.#pictures),
      },
      perplexity: tokens === 0 ? undefined : { a: Math.exp(a / tokens), b: Math.exp(b / tokens), tokens },
      embeddings: this.#embeddings.result(),
      layers: this.#layers.map(({ relative }) => relative),
      curves: { texts: this.#texts.curve(), pictures: this.#pictures.curve() },
    };
  }

  /** The same tokens for both, each with the picture as that model sees it. */
  async #prompts(sample: Sample): Promise<{ a: NativePrompt; b: NativePrompt }> {
    const { tokens } = sample;
    if (sample.kind === 'text') return { a: { tokens, images: [] }, b: { tokens, images: [] } };
    const { data, width, height } = sample.pixels;
    const mode = this.pair.a.info.imageMode as NativeImageMode;
    const encode = async (engine: Engine) =>
      (await engine.encodeImage(data, width, height, mode, this.signal)).embeddings;
    const [a, b] = [await encode(this.pair.a), await encode(this.pair.b)];
    if (a.length !== b.length) {
      throw new XgenmmError(
        'ERR_XGENMM_INVALID_ARGUMENT',
        `Expected models that make the same number of embeddings of a picture, received ${this.pair.files.a.path} and ${this.pair.files.b.path}: files are compared that were made of the same checkpoint`,
      );
    }
    this.#embeddings.add(a, b, this.pair.a.info.width);
    return { a: { tokens, images: [a] }, b: { tokens, images: [b] } };
  }

  /** `[layers + 1, positions, width]` each. */
  #addLayers(a: Float32Array, b: Float32Array, positions: number): void {
    const size = positions * this.pair.a.info.width;
    for (let layer = 0; layer * size < a.length; layer++) {
      this.#layers[layer] ??= new VectorError();
      this.#layers[layer]?.add(
        a.subarray(layer * size, (layer + 1) * size),
        b.subarray(layer * size, (layer + 1) * size),
      );
    }
  }

  #row(
    { logits, vocabSize }: { logits: Float32Array; vocabSize: number },
    position: number,
    sample: Sample,
    model: 'a' | 'b',
  ): Float32Array {
    const row = logits.subarray(position * vocabSize, (position + 1) * vocabSize);
    const fault = indexOfNonFinite(row);
    if (fault === -1) return row;
    throw new XgenmmError(
      'ERR_XGENMM_MODEL_INVALID',
      `Expected finite logits of ${this.pair.files[model].path}, received ${row[fault]} at position ${position} of ${sample.name}: its weights are damaged`,
    );
  }
}
