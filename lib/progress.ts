import { linkedController } from './abort.js';

/** How far a request is. */
export interface Progress {
  /** `images`: encoding its pictures, unless all are encoded already; `prompt`: the language model reading the prompt. */
  stage: 'images' | 'prompt';
  /** Of this stage, 0 to 1: it only rises, and ends with 1 if the stage does. */
  fraction: number;
}

export type OnProgress = (progress: Progress) => void;

/** Says how far a stage is; what is not more than before is left out. */
export type Report = (stage: Progress['stage'], fraction: number) => void;

/**
 * Runs `work`, whose reports go to `onProgress` until its signal aborts. That signal aborts with the given one, and when `onProgress`
 * throws: the whole then rejects with what was thrown.
 */
export async function withProgress<T>(
  onProgress: OnProgress | undefined,
  signal: AbortSignal | undefined,
  work: (report: Report, signal: AbortSignal | undefined) => Promise<T>,
): Promise<T> {
  if (onProgress === undefined) return work(() => {}, signal);
  const { controller, release } = linkedController(signal);
  const done = { images: -1, prompt: -1 };
  let fault: { error: unknown } | undefined;
  const report: Report = (stage, fraction) => {
    const reached = Math.min(fraction, 1);
    if (controller.signal.aborted || reached <= done[stage]) return;
    done[stage] = reached;
    try {
      onProgress({ stage, fraction: reached });
    } catch (error) {
      fault = { error };
      controller.abort(error);
    }
  };
  try {
    const result = await work(report, controller.signal);
    if (fault === undefined) return result;
  } catch (error) {
    if (fault === undefined) throw error;
  } finally {
    release();
  }
  throw fault.error;
}
