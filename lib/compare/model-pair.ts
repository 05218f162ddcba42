import { open } from 'node:fs/promises';
import { StoredMetadata } from '../convert/stored-metadata.js';
import { type Engine, translated } from '../engine.js';
import { XgenmmError } from '../errors.js';
import type { NativeModule } from '../native.js';
import {
  inspectModel,
  openSampleModel,
  type RunOptions,
  type TextInspection,
} from '../samples/sample-model.js';

/** Where the texts of all token ids are. */
const TOKENS_KEY = 'tokenizer.ggml.tokens';

export interface ModelFile {
  path: string;
  /** Size of the file. */
  bytes: number;
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
  static async open(addon: NativeModule, a: string, b: string, options: RunOptions): Promise<ModelPair> {
    const [first, second] = [inspectModel(addon, a), inspectModel(addon, b)];
    checkShapes(a, first, b, second);
    await checkVocabularies(addon, a, b);
    const engineA = await openSampleModel(addon, a, first, options, false);
    try {
      const engineB = await openSampleModel(addon, b, second, options, false);
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

function checkShapes(a: string, first: TextInspection, b: string, second: TextInspection): void {
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
  const listing = translated(() => addon.listFile(path));
  const file = await open(path);
  try {
    const tokens = (await StoredMetadata.read({ name: path, file }, listing)).values.get(TOKENS_KEY);
    return tokens?.type === 'pair' ? Buffer.from(tokens.bytes) : Buffer.alloc(0);
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
