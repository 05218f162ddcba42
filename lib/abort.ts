import { setMaxListeners } from 'node:events';

/** Calls `abort` when the signal aborts, until the returned function is called. */
export function onAbort(signal: AbortSignal | undefined, abort: () => void): () => void {
  if (signal === undefined) return () => {};
  // One signal may guard any number of requests, a server's shutdown for example.
  setMaxListeners(0, signal);
  signal.addEventListener('abort', abort);
  return () => signal.removeEventListener('abort', abort);
}
