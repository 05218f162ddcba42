// Formats the C++ sources in place, or with --check only says whether they are formatted.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const files = ['native', 'scripts'].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true })
    .filter((name) => /\.(h|cpp)$/.test(name))
    .map((name) => join(root, folder, name)),
);
const mode = process.argv.includes('--check') ? ['--dry-run', '--Werror'] : ['-i'];
const cli = createRequire(import.meta.url).resolve('clang-format');
const result = spawnSync(process.execPath, [cli, '--style=file', ...mode, ...files], { stdio: 'inherit' });
process.exit(result.status ?? 1);
