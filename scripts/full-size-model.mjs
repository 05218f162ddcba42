// node scripts/full-size-model.mjs OUT.gguf [--type q4_k_m|q8_0|f16] [--seed N] [--plain]: a model of the official checkpoints' dimensions
// with pseudo-random weights. Its words are noise; its speed, memory and responsiveness are those of a real one. --plain writes its text
// part alone, as a phi3 file for llama.cpp.
import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const TYPES = ['q4_k_m', 'q8_0', 'f16'];

const { values, positionals } = parseArgs({
  options: {
    type: { type: 'string', default: 'q4_k_m' },
    seed: { type: 'string', default: '1' },
    plain: { type: 'boolean', default: false },
  },
  allowPositionals: true,
});
const [output] = positionals;
const { type, seed, plain } = values;
if (positionals.length !== 1 || !TYPES.includes(type) || !/^\d{1,15}$/.test(seed)) {
  process.stderr.write(
    `usage: node scripts/full-size-model.mjs OUT.gguf [--type ${TYPES.join('|')}] [--seed N] [--plain]\n`,
  );
  process.exit(2);
}
if (!existsSync(join(root, 'dist', 'index.js'))) {
  process.stderr.write('The package must be built first: npm run build\n');
  process.exit(1);
}
const { writeFullSize } = await import('./full-size-file.mjs');

const start = performance.now();
const size = await writeFullSize(output, { type, seed: Number(seed), plain });
const seconds = (performance.now() - start) / 1000;
process.stderr.write(`${resolve(output)}: ${(size / 1e9).toFixed(2)} GB in ${seconds.toFixed(0)} s\n`);
