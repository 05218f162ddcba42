import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { describeAddonFault } from '../../lib/addon-fault.js';

const PATH = '/app/node_modules/xgen-mm/prebuilds/linux-x64/xgen-mm.glibc.node';
const LINUX = { platform: 'linux', arch: 'x64', glibc: '2.31' };
const BUILD =
  'build it with `npm rebuild xgen-mm --ignore-scripts=false` (it takes CMake 3.18 or newer and a C++17 compiler)';

const explain = (reason: string, host: { platform: string; arch: string; glibc?: string } = LINUX) =>
  describeAddonFault({ root: '/app/node_modules/xgen-mm', path: PATH, reason }, host);

describe('what the loader says becomes a sentence and a remedy', () => {
  test.each([
    {
      reason: 'Cannot load native addon because loading addons is disabled.',
      problem: `Expected a process that may load the addon at ${PATH}, received one that must not load any`,
      remedy: 'start Node.js without --no-addons, and with --allow-addons where it has a permission model',
    },
    {
      reason: `/lib/x86_64-linux-gnu/libc.so.6: version \`GLIBC_2.34' not found (required by ${PATH})`,
      problem: `Expected glibc 2.34 or newer, which the addon at ${PATH} was built for, received 2.31`,
      remedy: BUILD,
    },
    {
      reason: `/lib/x86_64-linux-gnu/libstdc++.so.6: version \`GLIBCXX_3.4.30' not found (required by ${PATH})`,
      problem: `Expected a libstdc++ with GLIBCXX_3.4.30, which the addon at ${PATH} was built for, received an older one`,
      remedy: BUILD,
    },
    {
      reason: 'libstdc++.so.6: cannot open shared object file: No such file or directory',
      problem: `Expected libstdc++.so.6, which the addon at ${PATH} needs, received: no such file on this system`,
      remedy: `install it with \`apt-get install libstdc++6\`, \`dnf install libstdc++\` or \`apk add libstdc++\` or ${BUILD}`,
    },
    {
      reason: `Error loading shared library libstdc++.so.6: No such file or directory (needed by ${PATH})`,
      problem: `Expected libstdc++.so.6, which the addon at ${PATH} needs, received: no such file on this system`,
      remedy: `install it with \`apt-get install libstdc++6\`, \`dnf install libstdc++\` or \`apk add libstdc++\` or ${BUILD}`,
    },
    {
      reason: 'libgomp.so.1: cannot open shared object file: No such file or directory',
      problem: `Expected libgomp.so.1, which the addon at ${PATH} needs, received: no such file on this system`,
      remedy: `install it or ${BUILD}`,
    },
    {
      reason: 'libc.musl-x86_64.so.1: cannot open shared object file: No such file or directory',
      problem: `Expected an addon for glibc, received ${PATH}, which was built for musl`,
      remedy: BUILD,
    },
    {
      reason: `Error loading shared library ld-linux-x86-64.so.2: No such file or directory (needed by ${PATH})`,
      problem: `Expected an addon for musl, received ${PATH}, which was built for glibc`,
      remedy: BUILD,
    },
    {
      reason: `${PATH}: wrong ELF class: ELFCLASS32`,
      problem: `Expected an addon for linux-x64, received ${PATH}, which was built for another processor or system`,
      remedy: BUILD,
    },
    {
      reason: `Error loading shared library ${PATH}: Exec format error`,
      problem: `Expected an addon for linux-x64, received ${PATH}, which was built for another processor or system`,
      remedy: BUILD,
    },
    {
      reason: `${PATH}: invalid ELF header`,
      problem: `Expected an addon at ${PATH}, received a damaged file (invalid ELF header)`,
      remedy: BUILD,
    },
    {
      reason: `${PATH}: failed to map segment from shared object\nmore`,
      problem: `Expected an addon that loads at ${PATH}, received: ${PATH}: failed to map segment from shared object`,
      remedy: BUILD,
    },
  ])('$reason', ({ reason, ...expected }) => {
    expect(explain(reason)).toEqual(expected);
  });

  test('on macOS', () => {
    const mac = { platform: 'darwin', arch: 'arm64' };
    const tried = `dlopen(${PATH}, 0x0001): tried: '${PATH}' (mach-o file, but is an incompatible architecture (have 'x86_64', need 'arm64'))`;
    expect(explain(tried, mac).problem).toBe(
      `Expected an addon for darwin-arm64, received ${PATH}, which was built for another processor or system`,
    );
    const missing = `dlopen(${PATH}, 0x0001): Library not loaded: @rpath/libfoo.1.dylib\n  Referenced from: <5C> ${PATH}\n  Reason: tried: '/usr/local/lib/libfoo.1.dylib' (no such file)`;
    expect(explain(missing, mac).problem).toBe(
      `Expected @rpath/libfoo.1.dylib, which the addon at ${PATH} needs, received: no such file on this system`,
    );
  });

  test('on Windows', () => {
    const windows = { platform: 'win32', arch: 'x64' };
    const file = '\\\\?\\C:\\app\\xgen-mm.node';
    expect(explain(`${file} is not a valid Win32 application.\r\n${file}`, windows).problem).toBe(
      `Expected an addon for win32-x64, received ${PATH}, which was built for another processor or system`,
    );
    expect(explain(`The specified module could not be found.\r\n${file}`, windows).problem).toBe(
      `Expected another DLL, which the addon at ${PATH} needs, received: no such file on this system`,
    );
  });
});

describe('without an addon the remedy is that of who installed', () => {
  const folder = mkdtempSync(join(tmpdir(), 'xgen-mm-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const explainNone = (root: string) =>
    describeAddonFault({ root, reason: 'No native build was found' }, LINUX);

  test('npm', () => {
    expect(explainNone('/app/node_modules/xgen-mm')).toEqual({
      problem: expect.stringMatching(
        /^Expected a native addon for linux-x64, received .+ignore-scripts.+pnpm/,
      ),
      remedy: BUILD,
    });
  });

  test('pnpm', () => {
    const root = join('/app', 'node_modules', '.pnpm', 'xgen-mm@1.0.0', 'node_modules', 'xgen-mm');
    expect(explainNone(root).remedy).toContain('`pnpm approve-builds` and `pnpm rebuild xgen-mm`');
  });

  test('a checkout', () => {
    mkdirSync(join(folder, 'lib'));
    expect(explainNone(folder).remedy).toContain('`npm run build`');
  });
});
