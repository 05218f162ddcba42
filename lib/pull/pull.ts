import { loadAddon } from '../addon.js';
import { Caller } from '../caller.js';
import { TEXT_TYPES, type TextType, VISION_TYPES, type VisionType } from '../convert/mixture.js';
import { VARIANTS, type Variant } from '../convert/variant.js';
import {
  abortSignal,
  callback,
  check,
  checkOptions,
  filePath,
  invalid,
  oneOf,
  type Rules,
  text,
} from '../options.js';
import { Connection, PATIENCE, type Patience } from './connection.js';
import type { Environment } from './hf-home.js';
import { type HubSettings, readHubSettings } from './hub-settings.js';
import { checkRevision } from './names.js';
import { pullRepository } from './pull-repository.js';
import { parsePullSource } from './pull-source.js';
import { pullUrl } from './pull-url.js';
import type { DownloadProgress } from './snapshot.js';

export interface PullOptions {
  /** Branch, tag or commit; default `main`. */
  revision?: string | undefined;
  /** What the language model of a checkpoint is stored in, or which of several GGUF files is meant. Default `'q4_k_m'`. */
  type?: TextType | undefined;
  /** As in convert(). */
  vision?: VisionType | undefined;
  /** As in convert(). */
  resampler?: VisionType | undefined;
  /** As in convert(). */
  imatrix?: string | undefined;
  /** As in convert(). */
  variant?: Variant | undefined;
  /** Where the model is put; default: in Hugging Face's folder. */
  output?: string | undefined;
  onDownload?: ((progress: DownloadProgress) => void) | undefined;
  /** Called with the bytes written so far and the bytes of the whole file. */
  onConvert?: ((done: number, total: number) => void) | undefined;
  /** Called with a sentence about what happens. */
  onNote?: ((note: string) => void) | undefined;
  /** Stops the pull, which rejects with `signal.reason`; what was downloaded stays, and the next pull goes on with it. */
  signal?: AbortSignal | undefined;
}

const RULES: Rules<PullOptions> = {
  revision: text,
  type: oneOf<TextType>(...TEXT_TYPES),
  vision: oneOf<VisionType>(...VISION_TYPES),
  resampler: oneOf<VisionType>(...VISION_TYPES),
  imatrix: text,
  variant: oneOf<Variant>(...VARIANTS),
  output: text,
  onDownload: callback<(progress: DownloadProgress) => void>(),
  onConvert: callback<(done: number, total: number) => void>(),
  onNote: callback<(note: string) => void>(),
  signal: abortSignal,
};

/** What surrounds a pull: the environment, and how patient it is. */
export interface Surroundings {
  env: Environment;
  patience: Patience;
}

/** All that the kinds of pull share. */
export interface Pull {
  settings: HubSettings;
  connection: Connection;
  options: PullOptions;
  onNote(note: string): void;
}

/**
 * Downloads a checkpoint from Hugging Face and makes a GGUF file of it, or downloads a GGUF file; resolves with its path. What is
 * in Hugging Face's cache is not downloaded again. The environment variables HF_HOME, HF_HUB_CACHE, HF_ENDPOINT, HF_TOKEN, HF_TOKEN_PATH,
 * HF_HUB_OFFLINE and HF_HUB_DISABLE_IMPLICIT_TOKEN are obeyed.
 * Rejects with `signal.reason` or an XgenmmError: ERR_XGENMM_DOWNLOAD, ERR_XGENMM_ADDON_UNAVAILABLE, and those of convert().
 */
export function pull(
  source: string,
  options?: PullOptions,
  { env = process.env, patience = PATIENCE }: Partial<Surroundings> = {},
): Promise<string> {
  return new Caller(pull).run(async () => {
    const checked = checkOptions(options, RULES, 'pull()');
    if (checked.output !== undefined) filePath(checked.output, 'the output');
    const settings = readHubSettings(env);
    const wanted = parsePullSource(check(source, text, 'the model'), new URL(settings.endpoint));
    const { onNote = () => {}, signal } = checked;
    const connection = new Connection(settings, patience, onNote, signal);
    const work: Pull = { settings, connection, options: checked, onNote };
    // Before gigabytes are downloaded that nothing could read.
    loadAddon();
    signal?.throwIfAborted();
    if (wanted.kind === 'url') return pullUrl(work, wanted.url);
    const { repository, file } = wanted;
    const revision = oneRevision(wanted.revision, checked.revision);
    return pullRepository(work, repository, revision, file);
  });
}

function oneRevision(inUrl: string | undefined, given: string | undefined): string | undefined {
  if (given === undefined) return inUrl;
  if (inUrl !== undefined && inUrl !== given)
    throw invalid('the revision', `${inUrl}, as in the URL,`, given);
  return checkRevision(given);
}
