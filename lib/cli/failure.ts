import { XgenmmError } from '../errors.js';
import { visible } from './visible.js';

/** An error as one line for stderr. */
export function describeFailure(error: unknown): string {
  const code = error instanceof XgenmmError ? error.code : 'ERR_XGENMM_INTERNAL';
  const message = error instanceof Error ? error.message : String(error);
  return `xgen-mm: ${visible(message.replaceAll('\n', ' '))} (${code})\n`;
}
