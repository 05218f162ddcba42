import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished } from 'vitest';
import { type ConvertOptions, convert } from '../../lib/convert/convert.js';
import { type Gguf, readGguf } from './gguf-reader.js';

export const TINY = fileURLToPath(new URL('../fixtures/tiny', import.meta.url));
export const TINY_F32 = fileURLToPath(new URL('../fixtures/tiny_f32', import.meta.url));

export interface RawTensor {
  dtype: string;
  shape: number[];
  bytes: Buffer;
}

type Json = Record<string, unknown>;

/** A folder that goes away with the test. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'xgen-mm-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  return folder;
}

/** What `convert` makes of a checkpoint. */
export async function convertToGguf(folder: string, options: ConvertOptions = {}): Promise<Gguf> {
  const output = join(await temporaryFolder(), 'out.gguf');
  await convert(folder, output, { variant: 'instruct-interleave', ...options });
  return readGguf(output);
}

/** A copy of a checkpoint, to be damaged. */
export async function copyCheckpoint(source = TINY, name = 'checkpoint'): Promise<string> {
  const folder = join(await temporaryFolder(), name);
  await cp(source, folder, { recursive: true });
  return folder;
}

/** A copy of tiny with all tensors, after `edit`, in one file. */
export async function copyWithTensors(edit: (tensors: Map<string, RawTensor>) => void): Promise<string> {
  const folder = await copyCheckpoint();
  const tensors = await readTensors(folder);
  edit(tensors);
  for (const file of await readdir(folder)) {
    if (file.startsWith('model')) await rm(join(folder, file));
  }
  await writeTensors(join(folder, 'model.safetensors'), tensors);
  return folder;
}

export async function readTensors(folder: string): Promise<Map<string, RawTensor>> {
  const tensors = new Map<string, RawTensor>();
  for (const name of await readdir(folder)) {
    if (!name.endsWith('.safetensors')) continue;
    const file = await readFile(join(folder, name));
    const start = 8 + Number(file.readBigUInt64LE());
    const { __metadata__: _, ...header } = JSON.parse(file.toString('utf8', 8, start));
    for (const [tensor, { dtype, shape, data_offsets: offsets }] of Object.entries<Json>(header)) {
      const [begin, end] = offsets as [number, number];
      tensors.set(tensor, {
        dtype: dtype as string,
        shape: shape as number[],
        bytes: file.subarray(start + begin, start + end),
      });
    }
  }
  return tensors;
}

export async function writeTensors(path: string, tensors: Map<string, RawTensor>): Promise<void> {
  const header: Json = {};
  let end = 0;
  for (const [name, { dtype, shape, bytes }] of tensors) {
    header[name] = { dtype, shape, data_offsets: [end, end + bytes.length] };
    end += bytes.length;
  }
  const data = Buffer.concat([...tensors.values()].map(({ bytes }) => bytes));
  await writeFile(path, Buffer.concat([encodeHeader(header), data]));
}

/** Rewrites the header of a safetensors file and leaves its data. */
export async function editHeader(path: string, edit: (header: Record<string, Json>) => void): Promise<void> {
  const file = await readFile(path);
  const start = 8 + Number(file.readBigUInt64LE());
  const header = JSON.parse(file.toString('utf8', 8, start));
  edit(header);
  await writeFile(path, Buffer.concat([encodeHeader(header), file.subarray(start)]));
}

function encodeHeader(header: Json): Buffer {
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json]);
}

export async function editJson<T = Json>(path: string, edit: (json: T) => void): Promise<void> {
  const json = JSON.parse(await readFile(path, 'utf8')) as T;
  edit(json);
  await writeFile(path, JSON.stringify(json));
}

/** Converting over an old file fails with these, the old file stays, and nothing lies beside it. */
export async function expectRefusal(
  folder: string,
  code: string,
  message: string | RegExp,
  options?: ConvertOptions,
): Promise<void> {
  const target = await temporaryFolder();
  const output = join(target, 'out.gguf');
  await writeFile(output, 'old');
  const expected =
    typeof message === 'string' ? expect.stringContaining(message) : expect.stringMatching(message);
  await expect(convert(folder, output, options)).rejects.toMatchObject({
    name: 'XgenmmError',
    code: `ERR_XGENMM_${code}`,
    message: expected,
  });
  expect(await readdir(target)).toEqual(['out.gguf']);
  expect(await readFile(output, 'utf8')).toBe('old');
}
