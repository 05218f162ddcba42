import { createHash, type Hash } from 'node:crypto';
import { XgenmmError } from '../errors.js';
import type { Answer, Connection } from './connection.js';
import { PartialFile } from './partial-file.js';
import type { Subject } from './refusal.js';
import { PassingFailure, Retry } from './retry.js';

/** What the hub says that the bytes of a file add up to. */
export interface Sum {
  /** `git`: SHA-1 of the file as a git blob. */
  kind: 'sha256' | 'git';
  /** Hexadecimal. */
  hex: string;
}

/** A file on a server. */
export interface RemoteFile {
  url: URL;
  subject: Subject;
  /** Bytes. */
  size: number;
  /** undefined: nobody says. */
  sum: Sum | undefined;
  /** A strong ETag, where the bytes behind the URL may change between two requests. */
  etag: string | undefined;
}

/** So many bytes are worth as many tries again. */
const PROGRESS = 2 ** 20;

/**
 * Downloads into `path`, going on with what is there, and checks length and sum. What does not add up is deleted and fetched
 * once more. Rejects with `signal.reason`, ERR_XGENMM_DOWNLOAD or ERR_XGENMM_WRITE_FAILED; what is sound so far stays in `path`.
 */
export async function download(
  connection: Connection,
  file: RemoteFile,
  path: string,
  onProgress: (done: number) => void,
): Promise<void> {
  for (let tries = 1; ; tries++) {
    const part = await PartialFile.open(path, () => startSum(file), connection.signal);
    let complete = false;
    let sum: string | undefined;
    try {
      complete = await fill(connection, file, part, onProgress);
      sum = part.digest();
      if (complete && (file.sum === undefined || sum === file.sum.hex)) return;
    } finally {
      await part.close();
    }
    await part.remove();
    const expected = complete ? `the sum ${file.sum?.hex}` : `${file.size} bytes`;
    const received = complete ? sum : 'more';
    const fault = `Expected ${expected} for ${file.subject.what}, received ${received}`;
    if (tries === 2) {
      throw new XgenmmError(
        'ERR_XGENMM_DOWNLOAD',
        `${fault}, twice: the server or something on the way to it changes the file; nothing of it was kept`,
      );
    }
    connection.onNote(`${fault}; it is fetched again from its beginning.`);
  }
}

function startSum({ sum, size }: RemoteFile): Hash {
  return sum?.kind === 'git' ? createHash('sha1').update(`blob ${size}\0`) : createHash('sha256');
}

/** Appends what is missing; false: there is more than there should be. */
async function fill(
  connection: Connection,
  file: RemoteFile,
  part: PartialFile,
  onProgress: (done: number) => void,
): Promise<boolean> {
  const retry = new Retry(connection.patience, connection.onNote, connection.signal);
  let highest = part.length;
  while (part.length < file.size) {
    try {
      await fillOnce(connection, file, part, onProgress);
    } catch (error) {
      if (part.length >= highest + PROGRESS) {
        highest = part.length;
        retry.reset();
      }
      await retry.wait(error);
    }
  }
  return part.length === file.size;
}

async function fillOnce(
  connection: Connection,
  file: RemoteFile,
  part: PartialFile,
  onProgress: (done: number) => void,
): Promise<void> {
  // Without a sum and without an ETag nobody could tell whether the rest belongs to the beginning.
  if (part.length > 0 && file.sum === undefined && file.etag === undefined) await part.reset();
  const begin = part.length;
  const headers: Record<string, string> = begin === 0 ? {} : { range: `bytes=${begin}-` };
  if (begin > 0 && file.etag !== undefined) headers['if-range'] = file.etag;
  const answer = await connection.open(file.url, headers, file.subject);
  try {
    await position(answer, file, part);
    onProgress(part.length);
    for await (const piece of answer.pieces()) {
      await part.append(piece);
      if (part.length > file.size) return;
      onProgress(part.length);
    }
    if (part.length < file.size) {
      throw new PassingFailure(
        `Expected ${file.size} bytes of ${file.subject.what}, but the connection ended after ${part.length}`,
      );
    }
  } finally {
    answer.close();
  }
}

/** Makes the file as long as the place where the answer begins, and refuses an answer that is of another file. */
async function position({ response }: Answer, file: RemoteFile, part: PartialFile): Promise<void> {
  const { status, headers } = response;
  const { what } = file.subject;
  if ((headers.get('content-encoding') ?? 'identity') !== 'identity') {
    throw new XgenmmError(
      'ERR_XGENMM_DOWNLOAD',
      `Expected ${what} as it is, received it in another encoding`,
    );
  }
  if (status === 206) {
    const range = `bytes ${part.length}-${file.size - 1}/${file.size}`;
    const received = headers.get('content-range');
    if (received === range) return checkLength(headers, file, part.length);
    await part.reset();
    throw new PassingFailure(`Expected the ${range} of ${what}, received ${received ?? 'no range'}`);
  }
  // A server that cannot begin in the middle, or whose file has become another, begins anew.
  if (part.length > 0) await part.reset();
  if (status === 416) throw new PassingFailure(`Expected the end of ${what}, received status 416`);
  checkLength(headers, file, 0);
}

function checkLength(headers: Headers, { size, subject }: RemoteFile, begin: number): void {
  const length = headers.get('content-length');
  if (length !== null && Number(length) !== size - begin) {
    throw new PassingFailure(
      `Expected ${size - begin} bytes of ${subject.what}, received an answer of ${length.slice(0, 20)}`,
    );
  }
}
