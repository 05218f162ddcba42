import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { modelFile } from '../files.js';
import { GgufFile, numberBytes, stringBytes, VALUE_TYPES } from '../gguf-file.js';

/** How many times tiny's tiles the slow tower's are wide (76 -> 532 pixels, 5 x 5 -> 38 x 38 patches), and its layers. */
const SCALE = 7;
const LAYERS = 60;

/** Models whose stages take seconds, so that a test can act while one runs. */
export class SlowModels {
  readonly #folder = mkdtempSync(join(tmpdir(), 'xgen-mm-'));
  /** A picture takes seconds, everything else no longer than with tiny-f32. */
  readonly vision = this.#write('vision', slowVision());
  /** Reading a long prompt takes seconds, and no answer ends before the context does. */
  readonly text = this.#write('text', slowText());

  remove(): void {
    rmSync(this.#folder, { recursive: true });
  }

  #write(name: string, file: GgufFile): string {
    const path = join(this.#folder, `${name}.gguf`);
    writeFileSync(path, file.serialise().bytes);
    return path;
  }
}

/** tiny-f32 with large tiles and its few layers over and over. */
function slowVision(): GgufFile {
  const file = GgufFile.read(modelFile('tiny-f32'));
  const position = file.tensor('v.position_embd.weight');
  const tile = file.u32('clip.vision.image_size') * SCALE;
  const patches = Math.floor(tile / file.u32('clip.vision.patch_size')) ** 2;
  const [width = 0, known = 1] = position.shape;
  const rows = Array<Buffer>(Math.ceil(patches / known)).fill(position.data.subarray(0, 4 * width * known));
  position.shape = [width, patches];
  position.data = Buffer.concat(rows).subarray(0, 4 * width * patches);
  file.setU32('clip.vision.image_size', tile);
  const layers = file.u32('clip.vision.block_count');
  file.setU32('clip.vision.block_count', LAYERS);
  for (let i = layers; i < LAYERS; i++) {
    const copied = file.tensors.filter(({ name }) => name.startsWith(`v.blk.${i - layers}.`));
    file.tensors.push(...copied.map((tensor) => ({ ...tensor, name: tensor.name.replace(/\d+/, `${i}`) })));
  }
  const grids = file.value('xgenmm.anyres_grids');
  grids.items = grids.items.map((side) => numberBytes(VALUE_TYPES.i32, side.readInt32LE() * SCALE));
  return file;
}

/** wide-f32 that never chooses a stop token. */
function slowText(): GgufFile {
  const file = GgufFile.read(modelFile('wide-f32'));
  const tokens = file.value('tokenizer.ggml.tokens').items;
  const bias = file.tensor('output.bias');
  bias.data = Buffer.from(bias.data);
  for (const stop of ['<|endoftext|>', '<|end|>', '<|assistant|>']) {
    bias.data.writeFloatLE(-1e9, 4 * tokens.findIndex((token) => token.equals(stringBytes(stop))));
  }
  return file;
}
