import { dirname } from 'node:path';
import { TEXT_TYPES } from '../convert/mixture.js';
import { XgenmmError } from '../errors.js';
import { isCheckpoint } from './checkpoint-files.js';
import { CheckpointModel, DEFAULT_TYPE } from './checkpoint-model.js';
import { checkSpace } from './disk-space.js';
import { checkTakenAsIs, chooseGguf, typeInName } from './gguf-choice.js';
import { copyInto, inspectModel, prepareOutput } from './place.js';
import type { Pull } from './pull.js';
import { isGguf } from './pull-source.js';
import { notePulled } from './pulled-models.js';
import { type PinnedRepository, pinRepository } from './repository-snapshot.js';
import { CachedSnapshot } from './snapshot.js';

/** Pulls what a repository holds, a checkpoint or a GGUF file; `file`: that GGUF file. Resolves with the path of the model. */
export async function pullRepository(
  pull: Pull,
  name: string,
  revision: string | undefined,
  file: string | undefined,
): Promise<string> {
  const repository = await pinRepository(pull, name, revision);
  if (file !== undefined) return pullGguf(pull, repository, file);
  const model = await CheckpointModel.describe(pull, repository);
  const finished = await model.findFinished();
  if (finished !== undefined) return finished;
  const files = await repository.snapshot.list('');
  if (isCheckpoint(files)) return model.make(files);
  const paths = files.map(({ path }) => path);
  if (paths.some(isGguf))
    return pullGguf(pull, repository, chooseGguf(paths, pull.options.type, DEFAULT_TYPE));
  const where = repository.snapshot instanceof CachedSnapshot ? 'in the cache' : 'at that revision';
  throw new XgenmmError(
    'ERR_XGENMM_DOWNLOAD',
    `Expected config.json and safetensors files, or GGUF files, in ${name} ${where}, received neither${repository.snapshot.hint}`,
  );
}

async function pullGguf(
  pull: Pull,
  { name, snapshot, cache }: PinnedRepository,
  path: string,
): Promise<string> {
  const { options, settings, onNote } = pull;
  checkTakenAsIs(path, options);
  if (/-\d{5}-of-\d{5}\.gguf$/i.test(path)) {
    throw new XgenmmError(
      'ERR_XGENMM_MODEL_UNSUPPORTED',
      `Expected a whole GGUF file, received ${path}, a piece of a split one; join the pieces with llama.cpp's llama-gguf-split`,
    );
  }
  if (options.output !== undefined) await prepareOutput(options.output);
  const folder = path.split('/').slice(0, -1).join('/');
  const file = (await snapshot.list(folder)).find((listed) => listed.path === path);
  if (file === undefined) {
    throw new XgenmmError(
      'ERR_XGENMM_DOWNLOAD',
      `Expected the file ${path} in ${name} at commit ${snapshot.commit}, received no file of that name${snapshot.hint}`,
    );
  }
  const missing = await snapshot.missingBytes([file]);
  if (missing > 0 || options.output !== undefined) {
    const needs = [{ folder: cache.folder, bytes: missing, what: 'the download' }];
    if (options.output !== undefined)
      needs.push({ folder: dirname(options.output), bytes: file.size, what: 'the copy' });
    onNote(await checkSpace(needs));
  }
  await snapshot.fetch([file]);
  await snapshot.settle();
  const target = cache.file(snapshot.commit, path);
  inspectModel(target);
  if (options.output !== undefined) return copyInto(target, options.output);
  await notePulled(settings.pulled, name, options.type ?? typeInName(path, TEXT_TYPES), target);
  return target;
}
