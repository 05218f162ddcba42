import { readFileSync, writeFileSync } from 'node:fs';

/** Overwrites the bytes of an ELF file at `offset`. */
export function overwrite(file: string, offset: number, ...bytes: number[]): void {
  const content = readFileSync(file);
  content.set(bytes, offset);
  writeFileSync(file, content);
}

/** Gives a name in an ELF file's table of strings another one of the same length. */
export function rename(file: string, name: string, replacement: string): void {
  const content = readFileSync(file);
  const at = content.indexOf(`\0${name}\0`);
  if (at < 0 || name.length !== replacement.length) throw new Error(`no ${name} to replace in ${file}`);
  content.write(replacement, at + 1, 'latin1');
  writeFileSync(file, content);
}

/** The newest version of glibc that an ELF file names, as `GLIBC_2.28`. */
export function newestGlibc(file: string): string {
  const names = readFileSync(file, 'latin1').match(/(?<=\0)GLIBC_[\d.]+(?=\0)/g) ?? [];
  return names.sort((a, b) => a.localeCompare(b, 'en', { numeric: true })).at(-1) ?? '';
}
