// npm run prebuild: builds the addon and puts it, stripped, where node-gyp-build looks in an installed package. Says what it made. With
// `--max-glibc 2.28` it refuses a file that would not run elsewhere: that needs libraries beside the C library, or a newer glibc. With
// `--arch arm64` on Linux it is compiled with Debian's cross compiler. npm runs a script of this name before every `npm run build`, too.
// (prebuildify would run node-gyp with the version of a Node.js to get the headers of, and rename and strip what comes of it. Headers of
// Node-API have no version, so a script of ours would stand in for node-gyp, and nothing would be left for prebuildify to do.)
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { build } from './build-addon.mjs';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
/** The C library's, in glibc and in musl. */
const C_LIBRARY = /^(lib(c|m|dl|rt|pthread)\.so\.\d+|ld-linux[-.\w]*\.so\.\d+|libc\.musl-\w+\.so\.1)$/;
const TOOLCHAINS = { arm64: join(ROOT, 'native', 'cmake', 'aarch64-linux-gnu.cmake') };

const { values } = parseArgs({
  options: {
    'max-glibc': { type: 'string' },
    arch: { type: 'string', default: process.arch },
  },
});
try {
  process.stdout.write(makePrebuild(values.arch, values['max-glibc']));
} catch (error) {
  process.stderr.write(`prebuild: ${error.message}\n`);
  process.exitCode = 1;
}

/**
 * @param {string} arch
 * @param {string | undefined} maxGlibc
 */
function makePrebuild(arch, maxGlibc) {
  const crosses = arch !== process.arch;
  const toolchain = TOOLCHAINS[arch];
  if (crosses && (process.platform !== 'linux' || toolchain === undefined)) {
    throw new Error(`expected an arch of ${process.arch} or, on Linux, arm64, received ${arch}`);
  }
  const directory = crosses ? `build-prebuild-${arch}` : 'build';
  build({ directory, definitions: crosses ? { CMAKE_TOOLCHAIN_FILE: toolchain } : {} });

  const cache = readFileSync(join(ROOT, directory, 'CMakeCache.txt'), 'utf8');
  const tool = (name) =>
    new RegExp(`^CMAKE_${name}:FILEPATH=(.+)$`, 'm').exec(cache)?.[1] ?? name.toLowerCase();
  const built = join(ROOT, directory, 'Release', 'xgenmm.node');
  const dynamic = process.platform === 'linux' ? readDynamic(built, tool('READELF')) : undefined;
  if (dynamic !== undefined && maxGlibc !== undefined) refuse(dynamic, maxGlibc);

  const tag = dynamic === undefined ? '' : dynamic.glibc === undefined ? '.musl' : '.glibc';
  const target = join(ROOT, 'prebuilds', `${process.platform}-${arch}`, `xgen-mm${tag}.node`);
  mkdirSync(dirname(target), { recursive: true });
  copyFileSync(built, target);
  // Elsewhere symbols are in files of their own.
  if (process.platform === 'linux') execFileSync(tool('STRIP'), ['--strip-all', target]);
  if (process.platform === 'darwin') {
    execFileSync(tool('STRIP'), ['-Sx', target]);
    // Nothing is loaded on Apple silicon without a signature, which stripping breaks.
    execFileSync('codesign', ['--force', '--sign', '-', target]);
  }
  const report = [
    relative(ROOT, target),
    `size       ${(statSync(target).size / 1e6).toFixed(2)} MB`,
    ...(dynamic === undefined ? [] : [`glibc      ${dynamic.glibc ?? 'none: for musl'}`]),
    ...(dynamic === undefined ? [] : [`libraries  ${dynamic.libraries.join(' ')}`]),
  ];
  return `${report.join('\n')}\n`;
}

/**
 * The libraries that a file needs and the newest version of glibc's symbols; none: it is linked with another C library.
 * @param {string} file
 * @param {string} readelf
 * @returns {{ libraries: string[], glibc: string | undefined }}
 */
function readDynamic(file, readelf) {
  if (!existsSync(file)) throw new Error(`expected the build to leave ${file}`);
  const text = execFileSync(readelf, ['--wide', '--dynamic', '--version-info', file], {
    encoding: 'utf8',
    env: { ...process.env, LC_ALL: 'C' },
  });
  const all = (pattern) => Array.from(text.matchAll(pattern), ([, found]) => found);
  const versions = all(/Name: GLIBC_([\d.]+)/g).sort(compareVersions);
  return { libraries: all(/\(NEEDED\).*\[(.+)\]/g), glibc: versions.at(-1) };
}

/**
 * @param {{ libraries: string[], glibc: string | undefined }} dynamic
 * @param {string} maxGlibc
 */
function refuse({ libraries, glibc }, maxGlibc) {
  const others = libraries.filter((library) => !C_LIBRARY.test(library));
  if (others.length > 0) {
    throw new Error(
      `expected an addon that needs the C library alone, received one that needs ${others.join(', ')}`,
    );
  }
  if (glibc !== undefined && compareVersions(glibc, maxGlibc) > 0) {
    throw new Error(
      `expected an addon for glibc ${maxGlibc} and newer, received one that needs ${glibc}: build it on an older system`,
    );
  }
}

/** @param {string} a @param {string} b */
function compareVersions(a, b) {
  return a.localeCompare(b, 'en', { numeric: true });
}
