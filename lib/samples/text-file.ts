import { open, stat } from 'node:fs/promises';
import { XgenmmError } from '../errors.js';

/** A million tokens or so, which take hours; nobody has to wait for the tokenizer longer than seconds. */
const MAX_BYTES = 4 * 2 ** 20;

/**
 * A text to run models on. Throws ERR_XGENMM_FILE_NOT_FOUND, and ERR_XGENMM_INVALID_ARGUMENT for a file that is empty, larger than 4 MiB
 * or no UTF-8 text.
 */
export async function readText(path: string): Promise<string> {
  const bytes = await readBounded(path);
  let text: string | undefined;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    text = undefined;
  }
  if (text === undefined || text.includes('\0')) {
    throw refusal('text in UTF-8', path, 'which holds something else: pictures are given with --images');
  }
  if (text.trim() === '') throw refusal('some text', path, 'which is empty');
  return text;
}

async function readBounded(path: string): Promise<Uint8Array> {
  const status = await stat(path).catch((cause) => {
    throw unreadable(path, cause);
  });
  // Opening a pipe that nobody writes to would wait for ever, whatever signal comes.
  if (!status.isFile()) throw unreadable(path, new Error('something else'));
  const file = await open(path).catch((cause) => {
    throw unreadable(path, cause);
  });
  try {
    const { size } = await file.stat();
    if (size > MAX_BYTES) {
      throw refusal(
        `a text of at most ${MAX_BYTES} bytes`,
        path,
        `which has ${size}: take a part of it, or cut it into several files`,
      );
    }
    // The file may grow.
    const bytes = new Uint8Array(MAX_BYTES + 1);
    let length = 0;
    while (length < bytes.length) {
      const { bytesRead } = await file.read(bytes, length);
      if (bytesRead === 0) return bytes.subarray(0, length);
      length += bytesRead;
    }
    throw refusal(`a text of at most ${MAX_BYTES} bytes`, path, 'which has more: take a part of it');
  } catch (error) {
    throw error instanceof XgenmmError ? error : unreadable(path, error as NodeJS.ErrnoException);
  } finally {
    await file.close();
  }
}

function refusal(expected: string, path: string, received: string): XgenmmError {
  return new XgenmmError(
    'ERR_XGENMM_INVALID_ARGUMENT',
    `Expected ${expected}, received ${path}, ${received}`,
  );
}

function unreadable(path: string, cause: NodeJS.ErrnoException): XgenmmError {
  return new XgenmmError(
    'ERR_XGENMM_FILE_NOT_FOUND',
    `Expected a readable text file at ${path}, received ${cause.code ?? cause.message}`,
    { cause },
  );
}
