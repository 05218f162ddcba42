import { type ChildProcess, spawn } from 'node:child_process';
import type { NativeDevice } from '../native.js';

/** What came of an addon that was tried in a process of its own. */
export type Probe =
  | { kind: 'runs'; identity: string; devices: NativeDevice[] }
  /** What the system's loader said. */
  | { kind: 'does not load'; text: string }
  /** How the process ended. */
  | { kind: 'crashes'; how: string };

/** GPUs that slept take seconds each to wake. */
const TIME_LIMIT_MS = 30_000;

/** Is in the child's environment: where `process.execPath` is an application and no Node.js, it would start itself for ever. */
const WITHIN_PROBE = 'XGENMM_WITHIN_PROBE';

/** A string, as a program in an archive of Electron's has no files that another process could run. */
const PROGRAM = `
  let answer;
  try {
    const addon = require(process.argv[1]);
    answer = { kind: 'runs', identity: addon.identity, devices: addon.systemInfo().devices };
  } catch (error) {
    answer = { kind: 'does not load', text: String(error?.message ?? error) };
  }
  process.send(answer, () => process.disconnect());
`;

/**
 * Loads an addon in another process and asks it for its devices: a driver that crashes or hangs takes only that process with it.
 * Never rejects.
 */
export function probeAddon(path: string, timeLimitMs = TIME_LIMIT_MS): Promise<Probe> {
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
        stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
        windowsHide: true,
      });
    } catch (error) {
      // The permission model without --allow-child-process; a process that does not know its own program.
      resolve({ kind: 'crashes', how: (error as Error).message });
      return;
    }
    let answer: Probe | undefined;
    const kill = () => child.kill('SIGKILL');
    // One that hangs would outlive this process.
    process.once('exit', kill);
    const end = (probe: Probe) => {
      clearTimeout(timer);
      process.off('exit', kill);
      resolve(probe);
    };
    const timer = setTimeout(() => {
      kill();
      end({ kind: 'crashes', how: `no answer in ${timeLimitMs / 1000} s` });
    }, timeLimitMs);
    child.on('message', (message) => {
      answer = message as Probe;
    });
    child.on('error', (error) => end({ kind: 'crashes', how: error.message }));
    child.on('close', (code, signal) => {
      const ended = code === 0 ? (answer ?? { kind: 'crashes', how: 'no answer' }) : undefined;
      end(ended ?? { kind: 'crashes', how: signal ?? `exit code ${code}` });
    });
  });
}
