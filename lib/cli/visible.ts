/**
 * What a model says, fit for a terminal: whatever could move the cursor, change colours or turn the writing direction is written out
 * as `\u{…}`. Tabs and line breaks stay.
 */
export function visible(text: string): string {
  return text.replace(
    /[^\P{Control}\t\n]|[\u202a-\u202e\u2066-\u2069]/gu,
    (character) => `\\u{${(character.codePointAt(0) as number).toString(16)}}`,
  );
}
