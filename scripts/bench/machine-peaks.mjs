import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from '../build-addon.mjs';
import { runForJson } from './program.mjs';

const FOLDER = join(dirname(dirname(dirname(fileURLToPath(import.meta.url)))), 'build');

/**
 * `value`: in `unit`; null where the machine cannot do that.
 * @typedef {{ kind: 'int8' | 'bf16' | 'f32' | 'read', name: string, unit: string, value: number | null }} Peak
 */

/** Builds native/tests/speed/machine_peaks.cpp and returns the program's path. */
export function buildMachinePeaks() {
  build({ target: 'machine-peaks' });
  const path = [join(FOLDER, 'machine-peaks'), join(FOLDER, 'Release', 'machine-peaks.exe')].find(existsSync);
  if (path === undefined) throw new Error(`Expected machine-peaks in ${FOLDER}, received none`);
  return path;
}

/**
 * @param {string} path
 * @param {number} threads
 * @param {AbortSignal} signal
 * @returns {Promise<Peak[]>}
 */
export async function measurePeaks(path, threads, signal) {
  return (await runForJson(path, ['--threads', `${threads}`], signal)).result.peaks;
}
