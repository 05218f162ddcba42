import { spawn } from 'node:child_process';
import { basename } from 'node:path';
import { readMemory } from '../process-memory.mjs';

/** How often a program's memory is looked at, in ms. */
const PERIOD = 50;
/** How much of what a program says on stderr is kept for the message about its failure. */
const SAID = 2000;

/**
 * `anonymous`, `file`: bytes of a program's memory that are its own, and of files that it has mapped, each at most; NaN where the system
 * does not tell.
 * @typedef {{ anonymous: number, file: number }} Memory
 */

/**
 * Runs a program to its end: what it wrote on stdout, the end of what it said on stderr, and its memory. Rejects with `signal.reason`, or with one sentence.
 * @param {string} command
 * @param {string[]} args
 * @param {AbortSignal} signal
 * @returns {Promise<{ output: string, said: string, memory: Memory }>}
 */
export function runProgram(command, args, signal) {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const stop = () => child.kill('SIGKILL');
    signal.addEventListener('abort', stop, { once: true });
    const memory = { anonymous: Number.NaN, file: Number.NaN };
    const look = setInterval(() => {
      const found = readMemory(child.pid);
      if (found === undefined) return;
      memory.anonymous = Math.max(found.anonymous, memory.anonymous || 0);
      memory.file = Math.max(found.file, memory.file || 0);
    }, PERIOD);
    let output = '';
    let said = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      output += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text) => {
      said = (said + text).slice(-SAID);
    });
    const end = () => {
      clearInterval(look);
      signal.removeEventListener('abort', stop);
    };
    child.on('error', (error) => {
      end();
      reject(new Error(`Expected a program at ${command}, received ${error.message}`));
    });
    child.on('close', (code, killed) => {
      end();
      if (signal.aborted) reject(signal.reason);
      else if (code === 0) resolve({ output, said, memory });
      else reject(new Error(`${basename(command)} ended with ${killed ?? code}: ${lastLines(said)}`));
    });
  });
}

/**
 * Like {@link runProgram}, for a program whose stdout is JSON.
 * @param {string} command
 * @param {string[]} args
 * @param {AbortSignal} signal
 */
export async function runForJson(command, args, signal) {
  const { output, memory } = await runProgram(command, args, signal);
  try {
    return { result: JSON.parse(output), memory };
  } catch {
    throw new Error(
      `Expected JSON from ${basename(command)}, received ${JSON.stringify(output.slice(0, 200))}`,
    );
  }
}

/** @param {string} text */
function lastLines(text) {
  return text.trim().split('\n').slice(-3).join(' ') || 'it said nothing';
}
