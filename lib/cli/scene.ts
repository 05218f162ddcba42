import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { GenerateOptions } from '../answer.js';
import type { Content } from '../content.js';
import { isJsonObject } from '../convert/json.js';
import { XgenmmError } from '../errors.js';

/** What a scene asks for. */
export const SUBJECTS = ['colour', 'shape', 'position', 'count', 'word', 'box', 'pair', 'follow-up'] as const;
export type Subject = (typeof SUBJECTS)[number];

/** Pictures whose contents are known, and what is asked about them in one chat. */
export interface Scene {
  /** Paths. */
  pictures: string[];
  turns: { question: string; answer: string }[];
  shows: Subject;
}

/** How scenes are asked about: the same way each time, and no answer of theirs is longer. */
export const SCENE_OPTIONS = { temperature: 0, maxTokens: 60 } satisfies GenerateOptions;

/**
 * The scenes that `scenes.json` in a folder lists; their pictures lie beside it.
 * Rejects with ERR_XGENMM_FILE_NOT_FOUND, or with ERR_XGENMM_INVALID_ARGUMENT for a list of something else.
 */
export async function readScenes(folder: string): Promise<Scene[]> {
  const file = join(folder, 'scenes.json');
  const text = await readFile(file, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw new XgenmmError(
      'ERR_XGENMM_FILE_NOT_FOUND',
      `Expected a readable list of scenes at ${file}, received ${cause.code ?? cause.message}`,
      { cause },
    );
  });
  const list = parseJson(text, file);
  if (!Array.isArray(list)) throw unfit(file, 'an array of scenes', 'something else');
  if (list.length === 0) throw unfit(file, 'at least one scene', 'an empty array');
  return list.map((entry: unknown, index) => {
    const scene = parseScene(entry, folder);
    if (scene === undefined) {
      throw unfit(file, 'scenes of { pictures, turns, shows }', `something else as entry ${index + 1}`);
    }
    return scene;
  });
}

/** What the turns of a scene ask, in order: its pictures stand in front of the first question. */
export function questionsOf({ pictures, turns }: Scene): Content[] {
  return turns.map(({ question }, turn) =>
    turn === 0 ? [...pictures.map((image) => ({ image })), question] : question,
  );
}

function parseJson(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw unfit(file, 'JSON', (cause as Error).message);
  }
}

function parseScene(entry: unknown, folder: string): Scene | undefined {
  if (!isJsonObject(entry)) return undefined;
  const { pictures, turns, shows } = entry;
  const subject = SUBJECTS.find((name) => name === shows);
  if (subject === undefined || !isFilled(pictures, isFileName) || !isFilled(turns, isTurn)) return undefined;
  return { pictures: pictures.map((name) => join(folder, name)), turns, shows: subject };
}

function isFilled<T>(value: unknown, accepts: (item: unknown) => item is T): value is T[] {
  return Array.isArray(value) && value.length > 0 && value.every(accepts);
}

function isFileName(value: unknown): value is string {
  return typeof value === 'string' && !['', '.', '..'].includes(value) && basename(value) === value;
}

function isTurn(value: unknown): value is Scene['turns'][number] {
  return isJsonObject(value) && typeof value.question === 'string' && typeof value.answer === 'string';
}

function unfit(file: string, expected: string, received: string): XgenmmError {
  return new XgenmmError(
    'ERR_XGENMM_INVALID_ARGUMENT',
    `Expected ${expected} in ${file}, received ${received}`,
  );
}
