// Puts ggml's source at the pinned release into vendor/: ggml/, LICENSE and (for the C++ tests) nlohmann/json.hpp.
// The release travels as a git bundle inside a tarball of the npm registry, whose sha512 is checked.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The npm package that brings the release of llama.cpp. */
export const PACKAGE = 'node-llama-cpp@3.22.1';
const TARBALL_SHA512 =
  'bltIipuWmc123H7tMIgDGKSsSrhmhlQYeVUC48XTjVW7XGJJiJJyCdlTMzQ/LiWoPkGDpcL4FviDpgw7qfTiDw==';
const VENDOR = join(dirname(dirname(fileURLToPath(import.meta.url))), 'vendor');

/** The folder of ggml's source: GGML_SOURCE_DIR, or vendor/ggml, fetched when it is not there. */
export function ggmlSource() {
  const override = process.env.GGML_SOURCE_DIR;
  if (override) {
    if (!existsSync(join(override, 'CMakeLists.txt'))) {
      throw new Error(
        `GGML_SOURCE_DIR must be ggml's source folder, but "${override}" holds no CMakeLists.txt`,
      );
    }
    return override;
  }
  return vendoredGgml();
}

/** vendor/ggml, fetched when it is not there. */
export function vendoredGgml() {
  const source = join(VENDOR, 'ggml');
  if (!existsSync(source)) fetch();
  return source;
}

function fetch() {
  extractRelease(VENDOR, ['ggml', 'LICENSE', 'vendor/nlohmann/json.hpp'], (release) => {
    place(join(release, 'LICENSE'), join(VENDOR, 'LICENSE'));
    place(join(release, 'vendor', 'nlohmann'), join(VENDOR, 'nlohmann'));
    place(join(release, 'ggml'), join(VENDOR, 'ggml'));
  });
}

/**
 * Calls `use` with a folder that holds files and folders of llama.cpp's source at the pinned release, and removes it afterwards.
 * @param {string} parent Where that folder is made: what `use` takes out of it can be moved within the same disk.
 * @param {string[]} paths
 * @param {(release: string) => void} use
 */
export function extractRelease(parent, paths, use) {
  process.stderr.write(`Fetching llama.cpp's release (${PACKAGE}) from the npm registry\n`);
  mkdirSync(parent, { recursive: true });
  const work = mkdtempSync(join(parent, 'fetch-'));
  const run = (command, args) =>
    execFileSync(command, args, { cwd: work, stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    npm(['pack', PACKAGE, '--silent', '--ignore-scripts'], work);
    const tarball = join(work, `${PACKAGE.replace('@', '-')}.tgz`);
    const sha512 = createHash('sha512').update(readFileSync(tarball)).digest('base64');
    if (sha512 !== TARBALL_SHA512) {
      throw new Error(`the tarball of ${PACKAGE} has sha512 ${sha512}, expected ${TARBALL_SHA512}`);
    }
    run('tar', ['-xzf', `${PACKAGE.replace('@', '-')}.tgz`, 'package/llama/gitRelease.bundle']);
    run('git', ['clone', '--quiet', '--bare', 'package/llama/gitRelease.bundle', 'release.git']);
    run('git', [
      '-c',
      'core.autocrlf=false',
      '--git-dir=release.git',
      'archive',
      '--output=release.tar',
      'HEAD',
      ...paths,
    ]);
    mkdirSync(join(work, 'release'));
    run('tar', ['-xf', 'release.tar', '-C', 'release']);
    use(join(work, 'release'));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function place(from, to) {
  rmSync(to, { recursive: true, force: true });
  renameSync(from, to);
}

function npm(args, cwd) {
  const options = { cwd, stdio: ['ignore', 'pipe', 'inherit'] };
  const cli = process.env.npm_execpath;
  if (cli?.endsWith('.js')) return execFileSync(process.execPath, [cli, ...args], options);
  return execFileSync('npm', args, { ...options, shell: process.platform === 'win32' });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) ggmlSource();
