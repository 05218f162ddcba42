import { spawn } from 'node:child_process';
import { root } from '../files.js';

export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
  /** Milliseconds from the first output to the end. */
  afterOutputMs: number;
}

/** Runs an ES module, in which `xgen-mm` is this package, in a process of its own; kills it after 60 s. */
export function runProgram(source: string, ...flags: string[]): Promise<Ended> {
  const { NODE_OPTIONS: _, ...env } = process.env;
  const args = [...flags, '--input-type=module', '--eval', source];
  const child = spawn(process.execPath, args, { cwd: root, env, timeout: 60_000, killSignal: 'SIGKILL' });
  let [stdout, stderr] = ['', ''];
  let firstOutput: number | undefined;
  child.stdout.on('data', (chunk) => {
    firstOutput ??= performance.now();
    stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      const afterOutputMs = firstOutput === undefined ? 0 : performance.now() - firstOutput;
      resolve({ code, signal, stdout, stderr, afterOutputMs });
    });
  });
}
