/** Whether somebody watches stderr, on a terminal where a bar can be drawn over what it was before. */
export function takesBars(): boolean {
  return Boolean(process.stderr.isTTY) && process.env.TERM !== 'dumb';
}
