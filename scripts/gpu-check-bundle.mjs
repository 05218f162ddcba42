// `node scripts/gpu-check-bundle.mjs` puts what scripts/gpu-check needs into build/xgen-mm-gpu-check.tar.gz, for a machine with a GPU and
// neither Node.js nor a network: the core and its tests, the pinned ggml, what of llama.cpp its llama-bench is made of, fixtures, small models.
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { extractRelease, ggmlSource, PACKAGE } from './fetch-ggml.mjs';
import { makeFixturePictures } from './fixture-pictures.mjs';
import { makeFixtures } from './fixtures.mjs';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
/** Of the tarball: what goes along to a borrowed machine is limited. */
const MOST_BYTES = 64 * 2 ** 20;
const HELP = `Usage: node scripts/gpu-check-bundle.mjs

Makes build/xgen-mm-gpu-check.tar.gz, which is carried to a machine with a GPU and unpacked there: scripts/gpu-check in it needs neither
Node.js nor a network. What is missing here, such as the pinned ggml and llama.cpp, is fetched first.
`;
const FIXTURES = join('build', 'fixtures');
const LLAMA_CPP = join('build', 'gpu-check', 'llama.cpp');
/** The others are as large again, and hold the same weights. */
const MODELS = [
  ...['tiny-f32', 'tiny-f16', 'tiny-bf16', 'tiny_f32-f32', 'tiny_f32-f16'],
  ...['wide-f16', 'wide-q8_0', 'wide-gqa-q4_k_m'],
];
/** Of the checkout. */
const OWN = [
  ...[
    'CMakeLists.txt',
    'LICENSE',
    'THIRD_PARTY_LICENSES.md',
    'package.json',
    'native',
    join('scripts', 'gpu-check'),
    join('models', 'demo.gguf'),
  ],
  ...['cases', 'wide', 'preprocess', 'tokenizer', 'phi3-vocab'].map((name) => join('test', 'fixtures', name)),
];
/** Of llama.cpp; its ggml is ours, but for what configures it. */
const THEIRS = [
  ...['CMakeLists.txt', 'LICENSE', 'cmake', 'common', 'ggml/cmake', 'include', 'licenses', 'src', 'vendor'],
  'tools/llama-bench',
];

/** Puts llama.cpp's part where scripts/gpu-check looks for it, which makes that run in a checkout, too. */
function fetchLlamaCpp() {
  const folder = join(ROOT, LLAMA_CPP);
  if (existsSync(folder)) return;
  extractRelease(dirname(folder), THEIRS, (release) => renameSync(release, folder));
}

async function makeBundle() {
  const ggml = ggmlSource();
  fetchLlamaCpp();
  await makeFixtures();
  await makeFixturePictures(join(ROOT, 'test', 'fixtures'), join(ROOT, FIXTURES, 'pictures'));

  const work = mkdtempSync(join(ROOT, 'build', 'gpu-check-bundle-'));
  try {
    const bundle = join(work, 'xgen-mm-gpu-check');
    const take = (path, from = join(ROOT, path)) => {
      mkdirSync(dirname(join(bundle, path)), { recursive: true });
      cpSync(from, join(bundle, path), { recursive: true });
    };
    for (const path of [...OWN, LLAMA_CPP, join(FIXTURES, 'pictures')]) take(path);
    for (const name of MODELS) take(join(FIXTURES, `${name}.gguf`));
    take(join('vendor', 'ggml'), ggml);
    take(join('vendor', 'nlohmann'), resolve(ggml, '..', 'nlohmann'));
    const output = join(ROOT, 'build', 'xgen-mm-gpu-check.tar.gz');
    execFileSync('tar', ['-czf', output, '-C', work, 'xgen-mm-gpu-check'], { stdio: ['ignore', 2, 2] });
    const { size } = statSync(output);
    if (size > MOST_BYTES)
      throw new Error(`Expected at most ${MOST_BYTES} bytes in ${output}, received ${size}`);
    process.stderr.write(`${output}: ${(size / 1e6).toFixed(1)} MB, with ggml and llama.cpp of ${PACKAGE}\n`);
    process.stderr.write('There: tar -xzf xgen-mm-gpu-check.tar.gz && xgen-mm-gpu-check/scripts/gpu-check\n');
  } finally {
    rmSync(work, { recursive: true });
  }
}

const [argument] = process.argv.slice(2);
if (argument === '--help' || argument === '-h') process.stdout.write(HELP);
else if (argument !== undefined) {
  process.stderr.write(`Expected no argument but --help, received ${argument}\n`);
  process.exitCode = 2;
} else await makeBundle();
