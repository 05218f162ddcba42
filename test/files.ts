import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The checkout. */
export const root = fileURLToPath(new URL('..', import.meta.url));

/** A model made by test/global-setup.ts, for example `tiny-f32`. */
export function modelFile(name: string): string {
  return join(root, 'build', 'fixtures', `${name}.gguf`);
}

/** A file or folder below test/fixtures. */
export function fixture(...path: string[]): string {
  return join(root, 'test', 'fixtures', ...path);
}

/** A picture of 80 x 80 or so from the golden cases. */
export function picture(name = '01_square'): string {
  return fixture('cases', name, 'image_0.png');
}
