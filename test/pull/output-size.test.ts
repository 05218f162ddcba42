import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parseConfig } from '../../lib/convert/config.js';
import { convert } from '../../lib/convert/convert.js';
import { parseJsonObject } from '../../lib/convert/json.js';
import type { TextType, VisionType } from '../../lib/convert/mixture.js';
import { outputSize, outputTensors } from '../../lib/pull/output-size.js';
import { TINY, temporaryFolder } from '../unit/checkpoint.js';

test.each<[TextType, VisionType | undefined]>([
  ['f32', undefined],
  ['q8_0', 'f16'],
  ['q4_k_m', undefined],
])('the configuration alone tells how large %s with %s becomes', async (type, vision) => {
  const config = parseConfig(parseJsonObject(await readFile(join(TINY, 'config.json')), 'config.json'));
  const size = (text: TextType, tower?: VisionType) =>
    outputSize(outputTensors(config, text, tower, undefined, false));
  const folder = await temporaryFolder();
  const make = async (text: TextType, tower?: VisionType) => {
    const options = { type: text, vision: tower, variant: 'base' } as const;
    return (await convert(TINY, join(folder, `${text}.gguf`), options)).bytes;
  };
  const bytes = await make(type, vision);
  expect(size(type, vision)).toBeGreaterThan(bytes);
  // The margin for the metadata, which no type changes, falls out of a difference; padding does not.
  const other = await make('bf16');
  expect(Math.abs(size(type, vision) - size('bf16') - (bytes - other))).toBeLessThan(4096);
});
