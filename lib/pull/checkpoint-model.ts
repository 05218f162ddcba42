import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { type ModelConfig, parseConfig } from '../convert/config.js';
import { convert } from '../convert/convert.js';
import { loadImportance } from '../convert/importance.js';
import { parseJsonObject } from '../convert/json.js';
import { chooseTypes } from '../convert/mixture.js';
import { XgenmmError } from '../errors.js';
import { CONFIG, smallFiles, weightFiles } from './checkpoint-files.js';
import { checkSpace } from './disk-space.js';
import { FileLock } from './file-lock.js';
import { sizeOf } from './hub-cache.js';
import { repositoryFolder } from './names.js';
import { outputSize, outputTensors } from './output-size.js';
import { isModel, prepareOutput } from './place.js';
import type { Pull } from './pull.js';
import { notePulled } from './pulled-models.js';
import type { PinnedRepository } from './repository-snapshot.js';
import type { SnapshotFile } from './snapshot.js';

/** What a checkpoint becomes, and a GGUF file is chosen by, unless the user says something else. */
export const DEFAULT_TYPE = 'q4_k_m';

/** The GGUF file that a checkpoint becomes: where it goes, and how it is made. */
export class CheckpointModel {
  private constructor(
    private readonly pull: Pull,
    private readonly repository: PinnedRepository,
    /** Absolute path of the file. */
    private readonly path: string,
  ) {}

  static async describe(pull: Pull, repository: PinnedRepository): Promise<CheckpointModel> {
    const { options, settings } = pull;
    if (options.output !== undefined) return new CheckpointModel(pull, repository, resolve(options.output));
    const folder = join(settings.pulled, repositoryFolder(repository.name), repository.snapshot.commit);
    return new CheckpointModel(pull, repository, join(folder, await fileName(repository.name, pull)));
  }

  get #type() {
    return this.pull.options.type ?? DEFAULT_TYPE;
  }

  /** The path, if an earlier pull has made the file; a file that the user named is always made. */
  async findFinished(): Promise<string | undefined> {
    if (this.pull.options.output !== undefined || (await sizeOf(this.path)) === undefined) return undefined;
    if (!isModel(this.path)) {
      this.pull.onNote(`${this.path} is damaged: it is made again.`);
      return undefined;
    }
    await this.#note();
    return this.path;
  }

  /** Downloads what is missing of the checkpoint and converts it. `files`: what the repository lists. */
  async make(files: readonly SnapshotFile[]): Promise<string> {
    const { onNote, options } = this.pull;
    const { snapshot, cache } = this.repository;
    const small = smallFiles(files);
    await snapshot.fetch(small);
    const read = (path: string) => readFile(cache.file(snapshot.commit, path));
    // A checkpoint of another family is refused before its weights are downloaded.
    const config = parseConfig(parseJsonObject(await read(CONFIG), CONFIG));
    const weights = await weightFiles(files, read, snapshot.hint);
    const bytes = await this.#checkOutput(config);
    const missing = await snapshot.missingBytes(weights);
    const needs = [
      { folder: cache.folder, bytes: missing, what: 'the rest of the checkpoint' },
      { folder: dirname(this.path), bytes, what: 'the model' },
    ];
    onNote(await checkSpace(needs));
    await snapshot.fetch(weights);
    await snapshot.settle();
    if (options.output !== undefined) return this.#convert();
    return this.#convertOnce();
  }

  /** Finds what the converter would refuse after the download. Returns the bytes that the file takes at most. */
  async #checkOutput(config: ModelConfig): Promise<number> {
    const { vision, resampler, imatrix } = this.pull.options;
    const tensors = outputTensors(config, this.#type, vision, resampler, imatrix !== undefined);
    // What it notes here it will note again.
    if (imatrix !== undefined) await loadImportance(imatrix, tensors, () => {});
    await prepareOutput(this.path);
    return outputSize(tensors);
  }

  /** One process at a time makes the file, and those that waited for it find it. */
  async #convertOnce(): Promise<string> {
    const { onNote, options } = this.pull;
    const onWait = () => onNote('Another process is converting this model: waiting for it.');
    const lock = await FileLock.acquire(`${this.path}.lock`, onWait, options.signal);
    try {
      const made = (await sizeOf(this.path)) !== undefined && isModel(this.path);
      if (!made) await this.#convert();
      await this.#note();
      return this.path;
    } finally {
      await lock.release();
    }
  }

  async #convert(): Promise<string> {
    const { snapshot, cache } = this.repository;
    const { vision, resampler, imatrix, variant, onConvert, onNote, signal } = this.pull.options;
    const { path } = await convert(cache.snapshot(snapshot.commit), this.path, {
      type: this.#type,
      vision,
      resampler,
      imatrix,
      variant,
      onProgress: onConvert,
      onNote,
      signal,
    });
    return path;
  }

  #note(): Promise<void> {
    return notePulled(this.pull.settings.pulled, this.repository.name, this.#type, this.path);
  }
}

/** Says all that the content depends on, beside the commit. */
async function fileName(repository: string, { options }: Pull): Promise<string> {
  const { type = DEFAULT_TYPE, variant, imatrix } = options;
  const types = chooseTypes(type, options.vision, options.resampler);
  const parts = [repository.split('/')[1], type.toUpperCase()];
  if (types.vision !== chooseTypes(type).vision) parts.push(`vision-${types.vision?.toUpperCase()}`);
  if (types.resampler !== types.vision) parts.push(`resampler-${types.resampler?.toUpperCase()}`);
  if (variant !== undefined) parts.push(variant);
  if (imatrix !== undefined) parts.push(`imatrix-${await shortSum(imatrix)}`);
  return `${parts.join('-')}.gguf`;
}

async function shortSum(path: string): Promise<string> {
  const bytes = await readFile(path).catch((cause) => {
    throw new XgenmmError(
      'ERR_XGENMM_FILE_NOT_FOUND',
      `Expected an importance matrix that can be read at ${path}, received: ${cause.message}`,
      { cause },
    );
  });
  return createHash('sha256').update(bytes).digest('hex').slice(0, 8);
}
