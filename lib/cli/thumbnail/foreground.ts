import { readFileSync } from 'node:fs';

/**
 * Whether this process may set its terminal, which stops whatever a shell has in the background. Only Linux tells, in a file;
 * elsewhere it is taken to be so.
 */
export function isForeground(file = '/proc/self/stat'): boolean {
  // Behind the program's name, in which anything may stand: state, parent, process group, session, terminal, the group in its foreground.
  const [, , group, , , foreground] = readStat(file)
    .replace(/^.*\) /s, '')
    .split(' ');
  // -1: a terminal that controls no processes.
  return foreground === undefined || foreground === '-1' || foreground === group;
}

function readStat(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
