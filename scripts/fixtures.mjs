// Makes the model files that the tests load, in build/fixtures/, from the checkpoints in test/fixtures/.
import { createHash, randomBytes } from 'node:crypto';
import { copyFile, cp, mkdir, mkdtemp, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const checkpoints = join(root, 'test', 'fixtures');
const converter = join(root, 'dist', 'convert');
const tokenizerFiles = ['added_tokens.json', 'tokenizer.model', 'tokenizer_config.json'];

/** Makes what is missing or older than its sources; two processes may do so at once. */
export async function makeFixtures(directory = join(root, 'build', 'fixtures')) {
  const { convert } = await import(pathToFileURL(join(converter, 'convert.js')).href);
  await mkdir(directory, { recursive: true });

  const make = async (name, folder, options) => {
    const target = join(directory, name);
    const sources = [...(await filesIn(folder)), ...(await filesIn(converter))];
    await refresh(target, sources, () =>
      convert(folder, target, { variant: 'instruct-interleave', ...options }),
    );
  };

  for (const type of ['f32', 'f16', 'bf16']) {
    await make(`tiny-${type}.gguf`, join(checkpoints, 'tiny'), { type });
    await make(`tiny_f32-${type}.gguf`, join(checkpoints, 'tiny_f32'), { type });
  }
  await withoutTokenizerModel(join(checkpoints, 'tiny'), (folder) =>
    make('tiny_json-f32.gguf', folder, { type: 'f32' }),
  );
  for (const type of ['f32', 'f16']) {
    await make(`tiny_base-${type}.gguf`, join(checkpoints, 'tiny'), { type, variant: 'base' });
  }
  for (const model of ['wide', 'wide-gqa']) {
    const folder = join(directory, 'wide-src', model);
    await makeWideCheckpoint(model, folder);
    for (const type of ['f32', 'f16', 'bf16', 'q8_0', 'q4_k_m']) {
      await make(`${model}-${type}.gguf`, folder, { type });
    }
  }
}

/** Runs `produce` unless `target` is newer than all sources. */
async function refresh(target, sources, produce) {
  if (await isFresh(target, sources)) return;
  try {
    await produce();
  } catch (error) {
    // On Windows a file that another process has just made and opened cannot be replaced, and need not be.
    if (!(await isFresh(target, sources))) throw error;
  }
  console.error(`made ${target}`);
}

async function isFresh(target, sources) {
  const made = await stat(target).catch(() => undefined);
  if (made === undefined) return false;
  const times = await Promise.all(sources.map(async (source) => (await stat(source)).mtimeMs));
  return times.every((time) => time < made.mtimeMs);
}

async function filesIn(folder) {
  const entries = await readdir(folder, { withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && !entry.name.endsWith('.tmp'))
    .map((entry) => join(folder, entry.name));
}

/** Calls `use` with a copy of the folder that has only tokenizer.json; its times are the original's. */
async function withoutTokenizerModel(folder, use) {
  const temporary = await mkdtemp(join(tmpdir(), 'xgen-mm-'));
  try {
    const copy = join(temporary, 'tiny_json');
    await cp(folder, copy, { recursive: true, preserveTimestamps: true });
    await rm(join(copy, 'tokenizer.model'));
    await use(copy);
  } finally {
    await rm(temporary, { recursive: true });
  }
}

/** Real head sizes need wide tensors: their values come from a formula rather than from a file. */
async function makeWideCheckpoint(model, folder) {
  const definition = join(checkpoints, 'wide', model);
  const copies = [
    join(definition, 'config.json'),
    ...tokenizerFiles.map((name) => join(checkpoints, 'tiny', name)),
  ];
  const sources = [...copies, join(definition, 'tensors.json'), fileURLToPath(import.meta.url)];
  const weights = join(folder, 'model.safetensors');
  await refresh(weights, sources, async () => {
    await mkdir(folder, { recursive: true });
    for (const file of copies) {
      await replace(join(folder, file.slice(dirname(file).length + 1)), (temporary) =>
        copyFile(file, temporary),
      );
    }
    const { tensors, sha256 } = JSON.parse(await readFile(join(definition, 'tensors.json'), 'utf8'));
    await replace(weights, (temporary) => writeSafetensors(temporary, tensors, sha256));
  });
}

/** Writes a file under another name first, so that nobody ever sees half of it. */
async function replace(target, write) {
  const temporary = `${target}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    await write(temporary);
    await rename(temporary, target);
  } finally {
    await rm(temporary, { force: true });
  }
}

/** `sha256` is over the names and values of all tensors in sorted order. */
async function writeSafetensors(path, tensors, sha256) {
  const names = Object.keys(tensors).sort();
  const header = {};
  let end = 0;
  for (const name of names) {
    const { shape } = tensors[name];
    const begin = end;
    end += 4 * shape.reduce((product, side) => product * side, 1);
    header[name] = { dtype: 'F32', shape, data_offsets: [begin, end] };
  }
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  const digest = createHash('sha256');
  const file = await open(path, 'wx');
  try {
    await file.writeFile(Buffer.concat([length, json]));
    for (const name of names) {
      const [begin, end] = header[name].data_offsets;
      const bytes = new Uint8Array(computeWeights(name, (end - begin) / 4).buffer);
      digest.update(name).update(bytes);
      await file.writeFile(bytes);
    }
  } finally {
    await file.close();
  }
  const received = digest.digest('hex');
  if (received !== sha256)
    throw new Error(`Expected weights with the digest ${sha256}, computed ${received}`);
}

/** Every value follows from the tensor's name and the element's index: fnv1a32 of the one, fmix32 with the other. */
function computeWeights(name, count) {
  let seed = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(name)) seed = Math.imul(seed ^ byte, 0x01000193);
  const isNorm = name.endsWith('.1.0.weight') || (name.endsWith('.weight') && name.includes('norm'));
  const scale = 2 ** -exponent(name);
  const values = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    let hash = (seed + Math.imul(i, 0x9e3779b9)) | 0;
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    hash ^= hash >>> 16;
    values[i] = isNorm ? (96 + (hash >>> 25)) / 128 : (2 * (hash >>> 24) - 255) * scale;
  }
  return values;
}

function exponent(name) {
  if (name.endsWith('patch_embedding.weight')) return 15;
  if (name.includes('lm_head')) return name.endsWith('.bias') ? 7 : 10;
  // With the dots: qkv_proj is not among them.
  const narrow =
    /\.([qkv]_proj\.weight|out_proj\.weight|in_proj_weight|fc1\.weight|to_(q|kv|out)\.weight|1\.1\.weight)$/;
  return narrow.test(name) ? 11 : 12;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await makeFixtures();
