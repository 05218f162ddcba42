import { open } from 'node:fs/promises';
import { loadAddon } from '../dist/addon.js';

/** Bytes read at a time. */
const CHUNK = 16 << 20;

/** @typedef {import('../dist/native.js').NativeListing['tensors'][number]} Tensor */

/**
 * Compares the tensors of two GGUF files by name: their shapes, types and bytes.
 * @param {string} a
 * @param {string} b
 * @returns {Promise<{ count: number, differences: string[] }>} One sentence for each tensor that differs; `count`: of all names.
 */
export async function compareTensors(a, b) {
  const [tensorsA, tensorsB] = [a, b].map(
    (path) =>
      new Map(
        loadAddon()
          .listFile(path)
          .tensors.map((tensor) => [tensor.name, tensor]),
      ),
  );
  const names = new Set([...tensorsA.keys(), ...tensorsB.keys()]);
  const files = await Promise.all([open(a), open(b)]);
  const differences = [];
  try {
    for (const name of names) {
      const pair = [tensorsA.get(name), tensorsB.get(name)];
      const [inA, inB] = pair.map((tensor) => tensor && `${tensor.type} [${tensor.shape}]`);
      if (inA !== inB)
        differences.push(`${name} is ${inA ?? 'absent'} in one and ${inB ?? 'absent'} in the other`);
      else if (!(await haveSameBytes(files, /** @type {Tensor[]} */ (pair)))) {
        differences.push(`${name} (${inA}) has other bytes`);
      }
    }
  } finally {
    await Promise.all(files.map((file) => file.close()));
  }
  return { count: names.size, differences };
}

/**
 * @param {import('node:fs/promises').FileHandle[]} files
 * @param {Tensor[]} tensors One of each file, of the same size.
 */
async function haveSameBytes(files, tensors) {
  const { bytes } = tensors[0];
  for (let done = 0; done < bytes; done += CHUNK) {
    const [a, b] = await Promise.all(
      files.map(async (file, i) => {
        const buffer = Buffer.alloc(Math.min(CHUNK, bytes - done));
        const { bytesRead } = await file.read(buffer, 0, buffer.length, tensors[i].position + done);
        return buffer.subarray(0, bytesRead);
      }),
    );
    if (a.length === 0 || !a.equals(b)) return false;
  }
  return true;
}
