import { createHash } from 'node:crypto';
import { readFile, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { XgenmmError } from '../errors.js';
import { invalid } from '../options.js';
import type { Connection } from './connection.js';
import { checkSpace } from './disk-space.js';
import { download } from './download.js';
import { FileLock } from './file-lock.js';
import { checkTakenAsIs } from './gguf-choice.js';
import { makeFolder, replaceFile, sizeOf, unwritable } from './hub-cache.js';
import { copyInto, inspectModel, prepareOutput } from './place.js';
import type { Pull } from './pull.js';
import type { Subject } from './refusal.js';
import { Retry } from './retry.js';

/** Which state of a file a server has: its ETag or date, and its length. */
interface State {
  validator: string;
  size: number;
  /** A strong ETag, which tells whether a download can be gone on with. */
  etag: string | undefined;
}

/** Pulls a GGUF file from a URL outside the hub, where nobody says a sum; it is put in place once it has been inspected. */
export async function pullUrl(pull: Pull, url: URL): Promise<string> {
  const { connection, options, settings } = pull;
  const name = decodeURIComponent(basename(url.pathname));
  checkTakenAsIs(name, options);
  if (options.revision !== undefined)
    throw invalid('the revision of a URL outside the hub', 'none', options.revision);
  if (options.output !== undefined) await prepareOutput(options.output);
  // The query may hold a key, and what it leads to need not be the same file.
  const key = createHash('sha256').update(url.href).digest('hex').slice(0, 16);
  const path = join(settings.pulled, 'urls', key, name);
  if (settings.offline) {
    if ((await sizeOf(path)) === undefined) {
      throw new XgenmmError(
        'ERR_XGENMM_DOWNLOAD',
        `Expected ${name} in ${dirname(path)}, because HF_HUB_OFFLINE is set, received nothing; unset it`,
      );
    }
    pull.onNote(`HF_HUB_OFFLINE is set: what was downloaded earlier is taken.`);
  } else {
    await makeFolder(dirname(path));
    const onWait = () => pull.onNote(`Another process is downloading ${name}: waiting for it.`);
    const lock = await FileLock.acquire(`${path}.lock`, onWait, connection.signal);
    try {
      await update(pull, url, path, lock);
    } finally {
      await lock.release();
    }
  }
  if (options.output === undefined) return path;
  return copyInto(path, options.output);
}

/** Makes the file at `path` what is at the URL. */
async function update(
  { connection, options, onNote }: Pull,
  url: URL,
  path: string,
  lock: FileLock,
): Promise<void> {
  const subject: Subject = { what: basename(path) };
  const state = await probe(connection, url, subject);
  const current = recordOf(state);
  if ((await sizeOf(path)) === state.size && (await readRecord(`${path}.state`)) === current) return;

  const growing = `${path}.incomplete`;
  const record = `${growing}.state`;
  if ((await readRecord(record)) !== current) await rm(growing, { force: true });
  await replaceFile(record, current);
  const begun = (await sizeOf(growing)) ?? 0;
  const needs = [{ folder: dirname(path), bytes: Math.max(0, state.size - begun), what: 'the download' }];
  if (options.output !== undefined)
    needs.push({ folder: dirname(options.output), bytes: state.size, what: 'the copy' });
  onNote(await checkSpace(needs));
  if (begun > 0 && state.etag !== undefined)
    onNote(`Going on with ${subject.what} at byte ${begun} of ${state.size}.`);

  const file = { url, subject, size: state.size, sum: undefined, etag: state.etag };
  await download(connection, file, growing, (done) => {
    options.onDownload?.({
      file: subject.what,
      fileDone: done,
      fileBytes: state.size,
      done,
      bytes: state.size,
    });
  });
  try {
    inspectModel(growing);
  } catch (error) {
    await rm(growing, { force: true });
    throw error;
  }
  await lock.assertHeld();
  await rename(growing, path).catch((cause) => {
    throw unwritable(path, cause);
  });
  await replaceFile(`${path}.state`, current);
  await rm(record, { force: true });
}

/** Asks for one byte, whose answer says how many there are. */
async function probe(connection: Connection, url: URL, subject: Subject): Promise<State> {
  const retry = new Retry(connection.patience, connection.onNote, connection.signal);
  for (;;) {
    try {
      const { response, close } = await connection.open(url, { range: 'bytes=0-0' }, subject);
      close();
      return readState(response, subject);
    } catch (error) {
      await retry.wait(error);
    }
  }
}

function readState({ status, headers }: Response, { what }: Subject): State {
  if (status === 416) {
    throw new XgenmmError('ERR_XGENMM_DOWNLOAD', `Expected ${what}, received an empty file: look at the URL`);
  }
  const total = /^bytes 0-0\/(\d+)$/.exec(headers.get('content-range') ?? '')?.[1];
  const size = Number((status === 206 ? total : headers.get('content-length')) ?? Number.NaN);
  if (!Number.isSafeInteger(size) || size <= 0) {
    throw new XgenmmError(
      'ERR_XGENMM_DOWNLOAD',
      `Expected the length of ${what}, received none: without it nobody could tell whether it is complete`,
    );
  }
  const etag = headers.get('etag') ?? undefined;
  return {
    size,
    validator: etag ?? headers.get('last-modified') ?? '',
    etag: etag?.startsWith('"') ? etag : undefined,
  };
}

function recordOf({ validator, size }: State): string {
  return JSON.stringify({ validator, size });
}

async function readRecord(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch(() => undefined);
}
