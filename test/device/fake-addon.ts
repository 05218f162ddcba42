import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { root } from '../files.js';

/** This package's. */
export const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

/** Whether {@link compileAddon} can: what the loader says is tested where it says it. */
export const hasCompiler = process.platform === 'linux' && spawnSync('cc', ['--version']).status === 0;

/** An addon with one GPU, whose engines end with what they were asked for. */
const WORKING = `
#include <node_api.h>
static const char script[] =
  "({ identity: '" IDENTITY "', systemInfo: () => ({ devices: [{ name: 'CUDA0', description: 'a fake', backend: 'CUDA', kind: 'gpu',"
  "                                    freeBytes: 1e9, totalBytes: 2e9 }] }),"
  "   createEngine: ({ device, gpuLayers, visionDevice }) => {"
  "     throw Object.assign(new Error(['fake', device, gpuLayers, visionDevice].join(' ')), { code: 'ERR_XGENMM_INTERNAL' });"
  "   },"
  "   stopAll() {} })";
NAPI_MODULE_INIT() {
  napi_value text, result;
  napi_create_string_utf8(env, script, NAPI_AUTO_LENGTH, &text);
  napi_run_script(env, text, &result);
  return result;
}`;

const BODIES = {
  works: WORKING,
  crashes: `#include <signal.h>\n__attribute__((constructor)) static void start(void) { raise(SIGSEGV); }`,
  hangs: `#include <unistd.h>\n__attribute__((constructor)) static void start(void) { for (;;) pause(); }`,
  /** Something that fd 3 means another thing to. */
  garbles: `#include <unistd.h>\n${WORKING}\n__attribute__((constructor)) static void start(void) { (void)!write(3, "garbage\\n", 8); }`,
  floods: `#include <unistd.h>\n__attribute__((constructor)) static void start(void) { static char zeros[4096]; while (write(3, zeros, sizeof zeros) > 0); }`,
  needs: `int function_of_a_library(void);\nint (*use)(void) = function_of_a_library;`,
};

/** Compiles an addon that behaves so; one that `needs` a library is linked with it, which is gone afterwards. `identity`: what it says. */
export function compileAddon(
  path: string,
  behaviour: keyof typeof BODIES,
  { library = '', identity = `xgen-mm ${version} cuda` } = {},
): void {
  const folder = mkdtempSync(join(tmpdir(), 'xgen-mm-addon-'));
  const compile = (output: string, body: string, ...options: string[]) => {
    const source = join(folder, 'source.c');
    writeFileSync(source, body);
    execFileSync('cc', ['-shared', '-fPIC', '-o', output, source, ...options]);
  };
  try {
    mkdirSync(dirname(path), { recursive: true });
    const options = [
      `-DIDENTITY="${identity}"`,
      '-I',
      join(root, 'node_modules', 'node-api-headers', 'include'),
    ];
    if (library !== '') {
      const stub = join(folder, library);
      compile(stub, 'int function_of_a_library(void) { return 0; }', `-Wl,-soname,${library}`);
      options.push(stub);
    }
    compile(
      path,
      `${BODIES[behaviour]}\n__attribute__((used)) static const char identity[] = IDENTITY;`,
      ...options,
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}
