/*
 * File names, notes and agents are written by clients. A terminal obeys some characters in them: escape sequences move its cursor and
 * title, U+202E turns the rest of a line around, so that a name or a log line reads as another one.
 */

// Control and format characters (the bidirectional ones among them), line and paragraph separators, halves of surrogate pairs.
const obeyed = /[\p{Cc}\p{Cf}\u2028\u2029\p{Cs}]/gu

/** `text` for a terminal: whatever a terminal would obey is written as JSON escapes it. Line ends and tabs stay. */
export function printable(text: string): string {
  return text.replace(obeyed, (character) => (/[\n\t]/.test(character) ? character : escaped(character)))
}

/** The same for what must stay one line. */
export function printableLine(text: string): string {
  return text.replace(obeyed, escaped)
}

function escaped(character: string): string {
  return Array.from({ length: character.length }, (_, at) => character.charCodeAt(at))
    .map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`)
    .join('')
}
