/*
 * Clients choose file names, notes and User-Agents. A terminal interprets some characters in them: escape sequences move its cursor or set
 * its title, and U+202E reverses the rest of a line, so that one name or log line reads as another.
 */

// Control and format characters (the bidirectional ones among them), line and paragraph separators, halves of surrogate pairs.
const interpreted = /[\p{Cc}\p{Cf}\u2028\u2029\p{Cs}]/gu

/** `text` with every character that a terminal interprets escaped as in JSON, except line feeds and tabs. */
export function printable(text: string): string {
  return text.replace(interpreted, (character) => (/[\n\t]/.test(character) ? character : escaped(character)))
}

/** As `printable` for a single line: line feeds and tabs are escaped too. */
export function printableLine(text: string): string {
  return text.replace(interpreted, escaped)
}

function escaped(character: string): string {
  return Array.from({ length: character.length }, (_, at) => character.charCodeAt(at))
    .map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`)
    .join('')
}
