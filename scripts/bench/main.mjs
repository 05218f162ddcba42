// npm run bench -- --help: how fast the package is, beside what the machine can do and beside llama.cpp and PyTorch.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArguments, USAGE, UsageError } from './arguments.mjs';

process.exitCode = await main();

async function main() {
  let options;
  try {
    options = parseArguments(process.argv.slice(2));
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`${error.message}\n\n${USAGE}`);
    return 2;
  }
  if (options === undefined) {
    process.stdout.write(USAGE);
    return 0;
  }
  if (!existsSync(fileURLToPath(new URL('../../dist/index.js', import.meta.url)))) {
    process.stderr.write('The package must be built first: npm run build\n');
    return 1;
  }
  const { Interruption } = await import('../../dist/cli/interruption.js');
  const { bench } = await import('./bench.mjs');
  try {
    await Interruption.guard(({ signal }) => bench(options, signal));
  } catch (error) {
    process.stderr.write(`bench: ${error instanceof Error ? error.message : error}\n`);
    return 1;
  }
  // Ctrl-C has set it.
  return process.exitCode;
}
