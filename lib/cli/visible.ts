/** Whatever could move the cursor, change colours or turn the writing direction; line breaks and tabs could not. */
const HARMFUL = /[^\P{Control}\t\n]|[\u202a-\u202e\u2066-\u2069]/gu;

/** What a model or a file says, fit for a terminal: what could drive it is written out as `\u{…}`. Tabs and line breaks stay. */
export function visible(text: string): string {
  return text.replace(HARMFUL, (character) => `\\u{${codeOf(character).toString(16)}}`);
}

/** A string from a file as part of a line: in quotes, on one line, fit for a terminal and not too long. */
export function quoted(text: string): string {
  return visible(JSON.stringify(text.length > 100 ? `${text.slice(0, 99)}…` : text));
}

/** JSON that is fit for a terminal. */
export function visibleJson(value: unknown, indentation?: number): string {
  return JSON.stringify(value, undefined, indentation).replace(
    HARMFUL,
    (character) => `\\u${codeOf(character).toString(16).padStart(4, '0')}`,
  );
}

function codeOf(character: string): number {
  return character.codePointAt(0) as number;
}
