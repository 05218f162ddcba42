import { readFile } from 'node:fs/promises';
import { XgenmmError } from './errors.js';
import { filePath, invalid } from './options.js';

/** The http(s) URL that a picture is to be fetched from; undefined for a picture that is here. Throws ERR_XGENMM_INVALID_ARGUMENT. */
export function remoteUrl(image: unknown, name: string): URL | undefined {
  if (!(image instanceof URL || typeof image === 'string') || !/^https?:/i.test(String(image)))
    return undefined;
  try {
    return new URL(image);
  } catch {
    throw invalid(name, 'a well-formed URL', image);
  }
}

/** The bytes of a picture that is here, and what messages call it. Throws ERR_XGENMM_FILE_NOT_FOUND and ERR_XGENMM_INVALID_ARGUMENT. */
export async function readBytes(
  image: string | URL | Uint8Array | ArrayBuffer | Blob,
  signal: AbortSignal | undefined,
) {
  if (typeof image === 'string' || image instanceof URL) {
    const location = String(image);
    if (/^data:/i.test(location)) return { name: 'the data: URL', bytes: parseDataUrl(location) };
    return readPicture(filePath(image, 'image'), signal);
  }
  const memory = image instanceof Blob ? await image.arrayBuffer() : image;
  const bytes = memory instanceof Uint8Array ? memory : new Uint8Array(memory);
  return { name: `the picture of ${bytes.length} bytes`, bytes };
}

async function readPicture(path: string, signal: AbortSignal | undefined) {
  const bytes = await readFile(path, { signal }).catch((cause) => {
    signal?.throwIfAborted();
    throw new XgenmmError(
      'ERR_XGENMM_FILE_NOT_FOUND',
      `Expected a readable picture at ${path}, received ${cause.code ?? cause.message}`,
      { cause },
    );
  });
  return { name: path, bytes };
}

function parseDataUrl(url: string): Uint8Array {
  const [, parameters, payload] = /^data:([^,]*),(.*)$/is.exec(url) ?? [];
  try {
    if (parameters === undefined || payload === undefined) throw new URIError('no comma');
    return Buffer.from(decodeURIComponent(payload), /;\s*base64\s*$/i.test(parameters) ? 'base64' : 'utf8');
  } catch {
    throw invalid('image', 'a well-formed data: URL', url);
  }
}
