import { XgenmmError } from '../errors.js';
import { describe } from '../options.js';

export type JsonObject = Record<string, unknown>;

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The object that `bytes` hold as UTF-8 JSON; `name` names them in messages. */
export function parseJsonObject(bytes: Uint8Array, name: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new XgenmmError(
      'ERR_XGENMM_MODEL_INVALID',
      `Expected JSON in ${name}, received: ${(cause as Error).message}`,
      { cause },
    );
  }
  if (!isJsonObject(value)) {
    throw new XgenmmError(
      'ERR_XGENMM_MODEL_INVALID',
      `Expected a JSON object in ${name}, received ${describe(value)}`,
    );
  }
  return value;
}
