// node scripts/cuda-package.mjs [--addon FILE] [--output FOLDER]: makes the folder of the npm package with the addon for CUDA on this
// platform, @xgen-mm/<platform>-<arch>-cuda, of exactly this package's version. dist/ must have been built, and the addon with
// `npm run build -- --cuda --cuda-architectures release`. `npm pack ./build/cuda-package` makes the tarball.
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { gpuPackage } from '../dist/device/gpu-addon.js';
import { thisHost } from '../dist/device/host.js';
import { probeAddon } from '../dist/device/probe.js';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
/** What the machine that packs need not have. */
const ABSENT_HERE =
  /^(libcuda\.so\.1|libcublas(Lt)?\.so\.\d+): cannot open shared object file|The specified module could not be found/;

/**
 * Makes the package; throws one sentence if the addon is not what it is to be.
 * @param {string} addon
 * @param {string} output What is there is replaced.
 * @returns {Promise<{ name: string, version: string, tried: boolean }>} `tried`: the addon loaded here.
 */
async function makePackage(addon, output) {
  const { version, license, repository, engines } = readManifest();
  const host = thisHost();
  const name = gpuPackage('cuda', host);
  if (name === undefined) {
    throw new Error(
      `Expected linux-x64 with glibc or win32-x64 for a package with CUDA, received ${host.platform}-${host.arch}`,
    );
  }
  const tried = await checkAddon(addon, `xgen-mm ${version} cuda`, host.platform);
  rmSync(output, { recursive: true, force: true });
  mkdirSync(output, { recursive: true });
  const manifest = {
    name,
    version,
    description: `The addon of xgen-mm ${version} that computes on NVIDIA's GPUs.`,
    license,
    ...(repository === undefined ? {} : { repository }),
    engines,
    os: [host.platform],
    cpu: [host.arch],
    ...(host.platform === 'linux' ? { libc: ['glibc'] } : {}),
    main: 'xgenmm.node',
    files: ['xgenmm.node', 'THIRD_PARTY_LICENSES.md'],
    peerDependencies: { 'xgen-mm': version },
  };
  writeFileSync(join(output, 'package.json'), `${JSON.stringify(manifest, undefined, 2)}\n`);
  writeFileSync(join(output, 'README.md'), describe(name, version));
  copyFileSync(addon, join(output, 'xgenmm.node'));
  for (const file of ['LICENSE', 'THIRD_PARTY_LICENSES.md'])
    copyFileSync(join(ROOT, file), join(output, file));
  return { name, version, tried };
}

/**
 * Whether the addon loads here; throws unless it is for this platform, of this version and for CUDA.
 * @param {string} path
 * @param {string} identity
 * @param {NodeJS.Platform} platform
 */
async function checkAddon(path, identity, platform) {
  const bytes = readAddon(path);
  const format = platform === 'win32' ? 'MZ' : '\x7fELF';
  if (!bytes.subarray(0, 4).toString('latin1').startsWith(format)) {
    throw new Error(`Expected an addon for ${platform} at ${path}, received another kind of file`);
  }
  const found = /xgen-mm \d+\.\d+\.\d+\S* (cpu|cuda|metal|vulkan)\0/
    .exec(bytes.toString('latin1'))?.[0]
    .slice(0, -1);
  if (found !== identity) {
    throw new Error(
      `Expected an addon that says "${identity}" at ${path}, received ${found === undefined ? 'one that says nothing' : `"${found}"`}`,
    );
  }
  const probe = await probeAddon(resolve(path));
  if (probe.kind === 'crashes')
    throw new Error(`Expected an addon that runs at ${path}, received ${probe.how}`);
  if (probe.kind === 'does not load') {
    if (ABSENT_HERE.test(probe.text)) return false;
    throw new Error(`Expected an addon that loads at ${path}, received: ${probe.text}`);
  }
  return true;
}

/** @param {string} path */
function readAddon(path) {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new Error(
      `Expected an addon at ${path}, received ${error.code}: make it with \`npm run build -- --cuda --cuda-architectures release\``,
    );
  }
}

function readManifest() {
  return JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
}

/**
 * @param {string} name
 * @param {string} version
 */
function describe(name, version) {
  return `# ${name}

The native addon of [xgen-mm](https://www.npmjs.com/package/xgen-mm) ${version} for NVIDIA's GPUs. It goes with exactly that version:

\`\`\`sh
npm install xgen-mm@${version} ${name}@${version}
\`\`\`

There is nothing to import: \`loadModel()\` finds it and computes on the GPU, and \`npx xgen-mm doctor\` says whether it does or what is
missing. It needs NVIDIA's driver and cuBLAS of the CUDA toolkit, neither of which comes with it.

Apache-2.0; others' work is listed in THIRD_PARTY_LICENSES.md. The CUDA runtime in it is NVIDIA's, redistributed under the CUDA toolkit's
licence agreement.
`;
}

try {
  const { values } = parseArgs({
    options: {
      addon: { type: 'string', default: join(ROOT, 'build-cuda', 'Release', 'xgenmm.node') },
      output: { type: 'string', default: join(ROOT, 'build', 'cuda-package') },
    },
  });
  const { name, version, tried } = await makePackage(values.addon, values.output);
  process.stdout.write(`${resolve(values.output)}\n`);
  process.stderr.write(
    `${name}@${version}; the addon ${tried ? 'loads here' : 'was not tried: this machine lacks its driver or cuBLAS'}\n`,
  );
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = error.code?.startsWith('ERR_PARSE_ARGS') ? 2 : 1;
}
