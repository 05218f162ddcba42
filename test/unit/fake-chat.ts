import type { ChatOptions } from '../../lib/index.js';
import { createModel } from '../../lib/load.js';
import type { NativeModelInfo } from '../../lib/native.js';
import { ADDED, FakeAddon, SLOW_PREFIX } from './fake-addon.js';

export const picture = { data: new Uint8Array(3), width: 1, height: 1, channels: 3 } as const;
export const image = { image: picture };

/** A chat with a fake addon that gives `answers`. */
export async function setUp({
  answers = [],
  info = {},
  ...options
}: ChatOptions & { answers?: string[]; info?: Partial<NativeModelInfo> } = {}) {
  const addon = new FakeAddon(info);
  addon.answers = answers;
  const model = await createModel(addon, 'fake.gguf');
  return { addon, model, chat: model.chat({ system: 'S', ...options }) };
}

/** A prompt as readable text: `_` for the lone first piece, `[k]` for picture k. */
export function show(tokens: Int32Array | undefined): string {
  const names = new Map(Object.entries(ADDED).map(([name, id]) => [id, name]));
  return Array.from(tokens ?? [], (token) => {
    if (token === SLOW_PREFIX) return '_';
    return token < 0 ? `[${-1 - token}]` : (names.get(token) ?? String.fromCodePoint(token));
  }).join('');
}

export const lastPrompt = (addon: FakeAddon) => show(addon.prompts.at(-1)?.tokens);

/** The first value of each of the last prompt's pictures. */
export const lastImages = (addon: FakeAddon) => addon.prompts.at(-1)?.images.map((rows) => rows[0]);
