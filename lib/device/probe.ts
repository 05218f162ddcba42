import { type ChildProcess, spawn } from 'node:child_process';
import type { Readable } from 'node:stream';

/** What came of an addon that was tried in a process of its own. */
export type Probe =
  /** What the addon says of itself, which nobody has checked yet. */
  | { kind: 'runs'; identity: unknown; devices: unknown }
  /** What the system's loader said. */
  | { kind: 'does not load'; text: string }
  /** How the process ended; `interrupted`: by Ctrl-C, which every process in a terminal is told, and which says nothing about the addon. */
  | { kind: 'crashes'; how: string; interrupted?: boolean };

/** GPUs that slept take seconds each to wake. */
const TIME_LIMIT_MS = 30_000;
/** Far more than any answer has. */
const MOST_BYTES = 2 ** 20;
/** Windows' exit code in place of SIGINT. */
const STATUS_CONTROL_C_EXIT = 0xc000013a;

/** Is in the child's environment: where `process.execPath` is an application and no Node.js, it would start itself for ever. */
const WITHIN_PROBE = 'XGENMM_WITHIN_PROBE';

/**
 * A string, as a program in an archive of Electron's has no files that another process could run. It answers on a plain pipe: Node.js
 * throws in the parent at what it cannot read on its own kind of channel.
 */
const PROGRAM = `
  let answer;
  try {
    const addon = require(process.argv[1]);
    answer = { kind: 'runs', identity: addon.identity, devices: addon.systemInfo().devices };
  } catch (error) {
    answer = { kind: 'does not load', text: String(error?.message ?? error) };
  }
  require('node:fs').writeFileSync(3, JSON.stringify(answer));
`;

/**
 * Loads an addon in another process and asks it for its devices: a driver that crashes or hangs takes only that process with it.
 * Never rejects. `signal` ends it at once.
 */
export function probeAddon(path: string, signal?: AbortSignal, timeLimitMs = TIME_LIMIT_MS): Promise<Probe> {
  return new Promise((resolve) => {
    if (process.env[WITHIN_PROBE] !== undefined) {
      resolve({ kind: 'crashes', how: 'this program again, which is no Node.js,' });
      return;
    }
    // What the user's own process was started with is none of the child's: debuggers, hooks.
    const { NODE_OPTIONS: _, ...env } = process.env;
    let child: ChildProcess;
    try {
      child = spawn(process.execPath, ['-e', PROGRAM, path], {
        env: { ...env, ELECTRON_RUN_AS_NODE: '1', [WITHIN_PROBE]: '1' },
        stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
        windowsHide: true,
        signal,
        killSignal: 'SIGKILL',
      });
    } catch (error) {
      // The permission model without --allow-child-process; a process that does not know its own program.
      resolve({ kind: 'crashes', how: (error as Error).message });
      return;
    }
    const pipe = child.stdio[3] as Readable;
    const chunks: Buffer[] = [];
    let size = 0;
    const kill = () => child.kill('SIGKILL');
    // One that hangs would outlive this process.
    process.once('exit', kill);
    const end = (probe: Probe) => {
      clearTimeout(timer);
      process.off('exit', kill);
      pipe.destroy();
      // The system may take its time to end what hangs in a driver.
      child.unref();
      resolve(probe);
    };
    const giveUp = (how: string) => {
      kill();
      end({ kind: 'crashes', how });
    };
    const timer = setTimeout(() => giveUp(`no answer in ${timeLimitMs / 1000} s`), timeLimitMs);
    pipe.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      size += chunk.length;
      if (size > MOST_BYTES) giveUp('an answer without an end');
    });
    pipe.on('error', (error) => giveUp(error.message));
    child.on('error', (error) => end({ kind: 'crashes', how: error.message }));
    child.on('close', (code, killedBy) => {
      const interrupted = killedBy === 'SIGINT' || code === STATUS_CONTROL_C_EXIT;
      if (code === 0) end(readAnswer(Buffer.concat(chunks).toString()));
      else end({ kind: 'crashes', how: killedBy ?? `exit code ${code}`, interrupted });
    });
  });
}

/** Whatever else wrote to the pipe may have spoilt it. */
function readAnswer(text: string): Probe {
  if (text === '') return { kind: 'crashes', how: 'no answer' };
  try {
    const answer = JSON.parse(text);
    if (answer.kind === 'runs') return { kind: 'runs', identity: answer.identity, devices: answer.devices };
    if (answer.kind === 'does not load') return { kind: 'does not load', text: String(answer.text) };
  } catch {}
  return { kind: 'crashes', how: 'an answer that makes no sense' };
}
