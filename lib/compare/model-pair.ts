import { open } from 'node:fs/promises';
import { type Engine, translated } from '../engine.js';
import { XgenmmError } from '../errors.js';
import { openEngine } from '../load.js';
import type { NativeInspection, NativeModule } from '../native.js';
import { CONTEXT_SIZE } from '../samples/samples.js';

/** Where the texts of all token ids are. */
const TOKENS_KEY = 'tokenizer.ggml.tokens';

export interface ModelFile {
  path: string;
  /** Size of the file. */
  bytes: number;
}

/** How a pair is loaded. */
export interface PairOptions {
  /** 0: the engine's choice. */
  threads?: number | undefined;
  /** Told how much of which file is loaded, 0 to 1. */
  onProgress(stage: string, fraction: number): void;
  signal: AbortSignal;
}

/**
 * Two models of one shape side by side, each with the context that samples need and no more: their weights are mapped, so that memory
 * holds what of them is in use, and each position is computed once. They compute one after the other.
 */
export class ModelPair {
  private constructor(
    readonly files: { a: ModelFile; b: ModelFile },
    readonly a: Engine,
    readonly b: Engine,
  ) {}

  /**
   * Rejects with `signal.reason` or an XgenmmError: ERR_XGENMM_INVALID_ARGUMENT for models that cannot be compared, and what
   * `loadModel()` throws.
   */
  static async open(addon: NativeModule, a: string, b: string, options: PairOptions): Promise<ModelPair> {
    const [first, second] = [inspect(addon, a), inspect(addon, b)];
    checkShapes(a, first, b, second);
    await checkVocabularies(addon, a, b);
    const engineA = await load(addon, a, first, options);
    try {
      const engineB = await load(addon, b, second, options);
      const files = {
        a: { path: a, bytes: first.fileBytes },
        b: { path: b, bytes: second.fileBytes },
      };
      return new ModelPair(files, engineA, engineB);
    } catch (error) {
      await engineA.dispose();
      throw error;
    }
  }

  async dispose(): Promise<void> {
    await Promise.all([this.a.dispose(), this.b.dispose()]);
  }
}

type Inspection = NativeInspection & { text: NonNullable<NativeInspection['text']> };

function inspect(addon: NativeModule, path: string): Inspection {
  const inspection = translated(() => addon.inspectFile(path, 0));
  const { text } = inspection;
  if (text === undefined) {
    throw new XgenmmError(
      'ERR_XGENMM_MODEL_UNSUPPORTED',
      `Expected a file with a language model, received ${path}, which holds just the vision part`,
    );
  }
  return { ...inspection, text };
}

function checkShapes(a: string, first: Inspection, b: string, second: Inspection): void {
  for (const [name, key] of [
    ['layers', 'layers'],
    ['values per position', 'width'],
    ['tokens in its vocabulary', 'vocabSize'],
  ] as const) {
    const [expected, received] = [first.text[key], second.text[key]];
    if (expected !== received) throw incomparable(`${expected} ${name} as in ${a}`, `${received} in ${b}`);
  }
}

async function checkVocabularies(addon: NativeModule, a: string, b: string): Promise<void> {
  const [first, second] = [await readTokens(addon, a), await readTokens(addon, b)];
  if (!first.equals(second))
    throw incomparable(`the vocabulary of ${a}`, `another one of the same size in ${b}`);
}

/** The texts of all tokens as they are in the file. */
async function readTokens(addon: NativeModule, path: string): Promise<Buffer> {
  const { metadata } = translated(() => addon.listFile(path));
  const entry = metadata.find(({ key }) => key === TOKENS_KEY);
  if (entry === undefined) return Buffer.alloc(0);
  const file = await open(path);
  try {
    const bytes = Buffer.alloc(entry.end - entry.begin);
    const { bytesRead } = await file.read(bytes, 0, bytes.length, entry.begin);
    return bytes.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

function incomparable(expected: string, received: string): XgenmmError {
  return new XgenmmError(
    'ERR_XGENMM_INVALID_ARGUMENT',
    `Expected ${expected}, received ${received}: files are compared that were made of the same checkpoint`,
  );
}

function load(
  addon: NativeModule,
  path: string,
  { text }: Inspection,
  { threads, onProgress, signal }: PairOptions,
): Promise<Engine> {
  const options = {
    threads,
    contextSize: Math.min(CONTEXT_SIZE, text.contextLength),
    maxSequences: 1,
    onProgress: (fraction: number) => onProgress(`Loading ${path}`, fraction),
    signal,
  };
  return openEngine(addon, path, options, false);
}
