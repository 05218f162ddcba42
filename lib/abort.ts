import { setMaxListeners } from 'node:events';

/** Calls `abort` when the signal aborts, until the returned function is called. */
export function onAbort(signal: AbortSignal | undefined, abort: () => void): () => void {
  if (signal === undefined) return () => {};
  // One signal may guard any number of requests, a server's shutdown for example.
  setMaxListeners(0, signal);
  signal.addEventListener('abort', abort);
  return () => signal.removeEventListener('abort', abort);
}

/** A controller that aborts when the signal does, with the same reason, until `release` is called. */
export function linkedController(signal: AbortSignal | undefined): {
  controller: AbortController;
  release(): void;
} {
  const controller = new AbortController();
  const abort = () => controller.abort(signal?.reason);
  if (signal?.aborted) abort();
  return { controller, release: onAbort(signal, abort) };
}

/** `work`, or a rejection with `signal.reason` once the signal aborts; work that cannot be stopped goes on with nobody waiting. */
export async function orAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  let release = () => {};
  const aborted = new Promise<never>((_, reject) => {
    release = onAbort(signal, () => reject(signal.reason));
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    release();
  }
}
