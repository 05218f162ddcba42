import { closeSync, existsSync, openSync, readSync } from 'node:fs';
import { join, sep } from 'node:path';

/** What an addon was to be loaded on. */
export interface AddonHost {
  platform: string;
  arch: string;
  /** The version of glibc that runs; undefined where another C library does. */
  glibc?: string | undefined;
}

/** An addon that could not be loaded. */
export interface AddonFailure {
  /** The package's folder. */
  root: string;
  /** The addon; undefined: there is none. */
  path?: string | undefined;
  /** What the system's loader said. */
  reason: string;
}

interface Explanation {
  problem: string;
  /** What helps besides building the addon. */
  install?: string;
  /** What helps, where building does not. */
  remedy?: string;
}

/** What the loader says, and what is to be said instead. */
interface Rule {
  pattern: RegExp;
  explain(found: RegExpExecArray, path: string, host: AddonHost): Explanation;
}

const RULES: Rule[] = [
  {
    pattern: /loading addons is disabled/,
    explain: (_, path) => ({
      problem: `Expected a process that may load the addon at ${path}, received one that must not load any`,
      remedy: 'start Node.js without --no-addons, and with --allow-addons where it has a permission model',
    }),
  },
  {
    pattern: /version [`']GLIBC_([\d.]+)' not found/,
    explain: ([, version], path, { glibc }) => ({
      problem: `Expected glibc ${version} or newer, which the addon at ${path} was built for, received ${glibc ?? 'an older one'}`,
    }),
  },
  {
    pattern: /version [`']((?:GLIBCXX|CXXABI)_[\d.]+)' not found/,
    explain: ([, version], path) => ({
      problem: `Expected a libstdc++ with ${version}, which the addon at ${path} was built for, received an older one`,
    }),
  },
  {
    // musl says the latter. Both C libraries' own names tell which one an addon was built for.
    pattern: /(?:^|Error loading shared library )(libc\.musl-[^\s:]+|ld-(?:linux|musl)-[^\s:]+): /,
    explain: ([, library], path) => {
      const [own, other] = library?.includes('musl') ? ['glibc', 'musl'] : ['musl', 'glibc'];
      return { problem: `Expected an addon for ${own}, received ${path}, which was built for ${other}` };
    },
  },
  {
    pattern: /(?:^|Error loading shared library )([^\s/:]+\.so[^\s/:]*): (?:cannot open|No such file)/,
    explain: ([, library = ''], path) => missingLibrary(library, path),
  },
  {
    pattern: /Library not loaded: (\S+)/,
    explain: ([, library = ''], path) => missingLibrary(library, path),
  },
  {
    pattern: /The specified module could not be found/,
    explain: (_, path) => missingLibrary('another DLL', path),
  },
  {
    pattern:
      /wrong ELF class|incompatible architecture|is not a valid Win32 application|Exec format error|cannot open shared object file/,
    explain: (_, path, { platform, arch }) => {
      const built = existsSync(path) ? elfArchitecture(path) : undefined;
      return {
        problem: `Expected an addon for ${platform}-${arch}, received ${path}, which was built for ${built ?? 'another processor or system'}`,
      };
    },
  },
  {
    pattern: /(invalid ELF header|file too short|not a mach-o file)/,
    explain: ([, reason], path) => ({
      problem: `Expected an addon at ${path}, received a damaged file (${reason})`,
    }),
  },
];

/**
 * Says what was expected and what was received, and what to do about it: build the addon on this machine, or install what it lacks.
 */
export function describeAddonFault(
  { root, path, reason }: AddonFailure,
  host = thisHost(),
): { problem: string; remedy: string } {
  const rebuild = rebuildAdvice(root);
  if (path === undefined) {
    return {
      problem: `Expected a native addon for ${host.platform}-${host.arch}, received none: the package has no prebuilt one for it, and its install script, which builds one, did not run (npm's ignore-scripts, pnpm's blocked builds)`,
      remedy: rebuild,
    };
  }
  for (const { pattern, explain } of RULES) {
    const found = pattern.exec(reason);
    if (found === null) continue;
    const { problem, install, remedy } = explain(found, path, host);
    return { problem, remedy: remedy ?? (install === undefined ? rebuild : `${install} or ${rebuild}`) };
  }
  return {
    problem: `Expected an addon that loads at ${path}, received: ${reason.split('\n')[0]}`,
    remedy: rebuild,
  };
}

function missingLibrary(library: string, path: string): Explanation {
  const install = library.startsWith('libstdc++')
    ? 'install it with `apt-get install libstdc++6`, `dnf install libstdc++` or `apk add libstdc++`'
    : 'install it';
  return {
    problem: `Expected ${library}, which the addon at ${path} needs, received: no such file on this system`,
    install,
  };
}

function rebuildAdvice(root: string): string {
  const needs = '(it takes CMake 3.18 or newer and a C++17 compiler)';
  // Only a checkout has the TypeScript sources.
  if (existsSync(join(root, 'lib'))) return `build it with \`npm run build\` ${needs}`;
  if (root.includes(`${sep}.pnpm${sep}`)) {
    return `build it with \`pnpm approve-builds\` and \`pnpm rebuild xgen-mm\` ${needs}`;
  }
  return `build it with \`npm rebuild xgen-mm --ignore-scripts=false\` ${needs}`;
}

/** glibc calls a library for another processor a file that it cannot find. */
function elfArchitecture(path: string): string | undefined {
  const header = Buffer.alloc(20);
  const file = openSync(path, 'r');
  try {
    readSync(file, header, 0, header.length, 0);
  } finally {
    closeSync(file);
  }
  if (header.toString('latin1', 0, 4) !== '\x7fELF') return undefined;
  const names: Record<number, string> = { 3: 'ia32', 40: 'arm', 62: 'x64', 183: 'arm64', 243: 'riscv64' };
  return names[header.readUInt16LE(18)];
}

function thisHost(): AddonHost {
  const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } };
  return { platform: process.platform, arch: process.arch, glibc: header.glibcVersionRuntime };
}
