import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root } from './files.js';

/** Before all tests: dist/ as lib/ is now, which child processes and the converter run, and the model files made by that converter. */
export default async function setUp(): Promise<void> {
  const compiled = join(root, 'dist', 'index.js');
  if (!existsSync(compiled) || statSync(compiled).mtimeMs < newestChange(join(root, 'lib'))) {
    const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
    execFileSync(process.execPath, [compiler, '-p', 'tsconfig.build.json'], { cwd: root, stdio: 'inherit' });
  }
  const fixtures = pathToFileURL(join(root, 'scripts', 'fixtures.mjs')).href;
  const { makeFixtures } = (await import(fixtures)) as { makeFixtures(): Promise<void> };
  await makeFixtures();
}

function newestChange(folder: string): number {
  const times = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => statSync(join(entry.parentPath, entry.name)).mtimeMs);
  return Math.max(...times);
}
