import { GgufFile, numberBytes, VALUE_TYPES } from '../gguf-file.js';
import { modelFile } from '../files.js';

/** How many times tiny's tiles the tiles are wide: 76 -> 760 pixels, 5 x 5 -> 54 x 54 patches, so that a picture takes seconds. */
const SCALE = 10;

/** tiny-f32 with huge tiles: encoding a picture takes seconds, everything else is as fast as ever. */
export function slowVision(): GgufFile {
  const file = GgufFile.read(modelFile('tiny-f32'));
  const position = file.tensor('v.position_embd.weight');
  const tile = file.value('clip.vision.image_size').items[0]?.readUInt32LE() ?? 0;
  const patch = file.value('clip.vision.patch_size').items[0]?.readUInt32LE() ?? 1;
  const patches = Math.floor((tile * SCALE) / patch) ** 2;
  const [width = 0, known = 1] = position.shape;
  const rows = Array.from({ length: Math.ceil(patches / known) }, () => position.data.subarray(0, 4 * width * known));
  position.shape = [width, patches];
  position.data = Buffer.concat(rows).subarray(0, 4 * width * patches);
  file.setU32('clip.vision.image_size', tile * SCALE);
  const grids = file.value('xgenmm.anyres_grids');
  grids.items = grids.items.map((side) => numberBytes(VALUE_TYPES.i32, side.readInt32LE() * SCALE));
  return file;
}
