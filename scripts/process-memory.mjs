import { readFileSync } from 'node:fs';

/**
 * What Linux says about a process, in bytes: the most that was ever resident, and what of it is its own or of mapped files now. Undefined
 * elsewhere, and when it has ended.
 * @param {number | undefined} pid
 */
export function readMemory(pid) {
  let status = '';
  try {
    status = readFileSync(`/proc/${pid}/status`, 'utf8');
  } catch {
    return undefined;
  }
  const [most, anonymous, file] = ['VmHWM', 'RssAnon', 'RssFile'].map((name) => {
    const found = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status);
    return found ? 1024 * Number(found[1]) : undefined;
  });
  // A process that is ending has none.
  if (most === undefined || anonymous === undefined || file === undefined) return undefined;
  return { most, anonymous, file };
}
