// The C++ tests decode no picture files: here every picture of the golden cases becomes a binary PPM.
import { existsSync, mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import sharp from 'sharp';

/** Writes <directory>/<folder>-<picture>.ppm for each picture below `fixtures` that is not there yet. */
export async function makeFixturePictures(fixtures, directory) {
  mkdirSync(directory, { recursive: true });
  for (const entry of readdirSync(fixtures, { recursive: true, withFileTypes: true })) {
    if (!/^image_\d+\.(png|jpg)$/.test(entry.name)) continue;
    const folder = relative(fixtures, entry.parentPath).split(/[\\/]/).join('-');
    const output = join(directory, `${folder}-${entry.name.replace(/\.\w+$/, '')}.ppm`);
    if (existsSync(output)) continue;
    const { data, info } = await sharp(join(entry.parentPath, entry.name))
      .removeAlpha()
      .toColourspace('srgb')
      .raw()
      .toBuffer({ resolveWithObject: true });
    const temporary = `${output}.${process.pid}`;
    writeFileSync(temporary, Buffer.concat([Buffer.from(`P6 ${info.width} ${info.height} 255\n`), data]));
    renameSync(temporary, output);
  }
}
