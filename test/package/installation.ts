import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { type Run, type RunOptions, runProgram } from '../cli/run.js';
import { root } from '../files.js';

/** What `npm pack --json` says. */
export interface Tarball {
  path: string;
  /** Bytes. */
  size: number;
  /** Paths in the package. */
  files: string[];
}

/** Why this checkout has no package to test; undefined: it has. CI has one, or its tests fail. */
export function whyUntested(): string | undefined {
  if (process.env.CI) return undefined;
  const folder = join(root, 'prebuilds', `${process.platform}-${process.arch}`);
  const [prebuild] = existsSync(folder) ? readdirSync(folder) : [];
  if (prebuild === undefined) return 'there is no prebuilt addon: npm run prebuild';
  const built = join(root, 'build', 'Release', 'xgenmm.node');
  const stale = existsSync(built) && statSync(join(folder, prebuild)).mtimeMs < statSync(built).mtimeMs;
  return stale ? 'the prebuilt addon is older than the build: npm run prebuild' : undefined;
}

/** Packs a copy of the checkout, whose dist/ holds a file that no source makes any more. */
export async function pack(folder: string): Promise<Tarball> {
  const copy = join(folder, 'checkout');
  const left = /^(node_modules|build.*|dist|test|tools|docs|examples|\.git|\.ci|\.github|.*\.tgz)$/;
  for (const entry of readdirSync(root).filter((name) => !left.test(name))) {
    cpSync(join(root, entry), join(copy, entry), { recursive: true });
  }
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'), 'junction');
  mkdirSync(join(copy, 'dist'));
  writeFileSync(join(copy, 'dist', 'gone.js'), '');
  const { code, stdout, stderr } = await npm(['pack', '--json'], { cwd: copy });
  if (code !== 0) throw new Error(stderr);
  // What the scripts before it print comes first.
  const [{ filename, size, files }] = JSON.parse(stdout.slice(stdout.search(/^\[/m)));
  return {
    path: join(copy, filename),
    size,
    files: (files as { path: string }[]).map(({ path }) => path).sort(),
  };
}

/** Runs the npm that belongs to this Node.js, or the one on the PATH. */
export function npm(args: string[], options: RunOptions): Promise<Run> {
  const cli = process.env.npm_execpath;
  if (cli?.endsWith('npm-cli.js')) return runProgram(process.execPath, [cli, ...args], options);
  return runProgram('npm', args, options);
}

/**
 * A PATH with Node.js, npm and the shell that npm starts programs with, and nothing else: no compiler, no git. On Windows, which looks in
 * other places too, the whole one.
 */
export function barePath(folder: string): string {
  if (process.platform === 'win32') return process.env.PATH ?? '';
  mkdirSync(folder);
  const found = (name: string) =>
    (process.env.PATH ?? '')
      .split(delimiter)
      .map((directory) => join(directory, name))
      .find(existsSync);
  symlinkSync(process.execPath, join(folder, 'node'));
  for (const name of ['npm', 'npx', 'sh']) {
    const program = found(name);
    if (program !== undefined) symlinkSync(program, join(folder, name));
  }
  return folder;
}

/** An empty project in `folder`. */
export function makeProject(folder: string): string {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{ "private": true }');
  return folder;
}

/** A copy of an installation, for tests that damage it; what they leave alone is shared. */
export function copyInstallation(project: string, target: string): string {
  const [from, to] = [project, makeProject(target)].map((path) => join(path, 'node_modules')) as [
    string,
    string,
  ];
  mkdirSync(join(to, 'xgen-mm'), { recursive: true });
  for (const name of readdirSync(from).filter((entry) => entry !== 'xgen-mm' && !entry.startsWith('.'))) {
    symlinkSync(join(from, name), join(to, name), 'junction');
  }
  for (const name of ['package.json', 'dist', 'scripts', 'prebuilds']) {
    cpSync(join(from, 'xgen-mm', name), join(to, 'xgen-mm', name), { recursive: true });
  }
  symlinkSync(join(from, 'xgen-mm', 'vendor'), join(to, 'xgen-mm', 'vendor'), 'junction');
  return target;
}

/** The prebuilt addon of an installation. */
export function prebuildOf(project: string): string {
  const folder = join(project, 'node_modules', 'xgen-mm', 'prebuilds', `${process.platform}-${process.arch}`);
  const [name = ''] = readdirSync(folder);
  return join(folder, name);
}

/** Removes the folder of an installation's prebuilt addons. */
export function removePrebuilds(project: string): void {
  rmSync(dirname(dirname(prebuildOf(project))), { recursive: true });
}
