import { agreeingName } from '../../media/file-endings.ts'
import { safeSegment } from '../../object-key.ts'

/*
 * The ways in which other programs may read one file name. A rule that denies names is asked about each of them: it must not
 * matter whether a desktop, a web server or a person reads `evil.exe%20`, `evil.exe::$DATA` or `evil.ехе` (Cyrillic) differently
 * than this server does.
 */

/** The name as it will be stored: what an object key has of it. */
export function storedName(filename: string, contentType: string): string {
  return safeSegment(agreeingName(filename, contentType), mostStored)
}

const mostStored = 255
// A name may be encoded more than once; each round reads one layer.
const mostLayers = 4

/** Every reading of `filename`, the name as it stands and made safe for an object key among them. */
export function readingsOf(filename: string): string[] {
  const readings = new Set<string>()
  const add = (name: string) => {
    readings.add(name)
    // Windows opens the stream's file, a C program stops at NUL, IIS at a semicolon.
    for (const end of [':', '\0', ';']) {
      const at = name.indexOf(end)
      if (at > 0) readings.add(name.slice(0, at))
    }
    readings.add(name.split(/[/\\]/).findLast((segment) => segment !== '') ?? name)
  }
  for (const name of [filename, safeSegment(filename, mostStored)]) {
    add(name)
    for (const layer of layersOf(name)) add(fold(layer))
  }
  for (const reading of [...readings]) readings.add(reading.replace(endsThatAreDropped, ''))
  return [...readings]
}

/** `text` as a person or a careless program reads it: one form of each letter, nothing invisible, look-alikes of ASCII as ASCII. */
export function fold(text: string): string {
  const plain = text.normalize('NFKC').replace(invisible, '')
  return Array.from(plain, (letter) => lookAlikes.get(letter) ?? letter).join('')
}

/** `text`, and what is left of it when percent-encoding is read, once or more. */
function* layersOf(text: string): Generator<string> {
  let layer = text
  for (let round = 0; round < mostLayers; round += 1) {
    yield layer
    const next = decodePercent(layer)
    if (next === layer) return
    layer = next
  }
}

function decodePercent(text: string): string {
  return text.replace(/(?:%[0-9a-f]{2})+/gi, (encoded) =>
    Buffer.from(encoded.replaceAll('%', ''), 'hex').toString('utf8'),
  )
}

// Windows and many programs drop these at the end of a name, and so does the object key.
const endsThatAreDropped = /[\s.\-_/\\:;"'`*?<>|~\p{Cc}]+$/u

/** Formats, fillers, variation selectors and marks that show nothing. NUL stays: it ends a name. */
const invisible = /[\p{Cf}\p{Default_Ignorable_Code_Point}]|(?!\0)\p{Cc}/gu

const lookAlikes = new Map(
  [
    ['аαɑ', 'a'],
    ['ЬƄ', 'b'],
    ['сϲᴄⅽ', 'c'],
    ['ԁɗ', 'd'],
    ['еєεҽᴇ℮', 'e'],
    ['ɡցԍ', 'g'],
    ['һհн', 'h'],
    ['іιıɩӏ', 'i'],
    ['јϳ', 'j'],
    ['кκ', 'k'],
    ['ⅼ', 'l'],
    ['мᴍ', 'm'],
    ['пηոս', 'n'],
    ['оοօσᴏ', 'o'],
    ['рρ', 'p'],
    ['ԛզ', 'q'],
    ['гᴦ', 'r'],
    ['ѕꜱ', 's'],
    ['тτᴛ', 't'],
    ['υʋᴜ', 'u'],
    ['νѵᴠ', 'v'],
    ['ԝωᴡ', 'w'],
    ['хχⅹ×', 'x'],
    ['уγүỿ', 'y'],
    ['ᴢ', 'z'],
    ['АΑ', 'A'],
    ['ВΒ', 'B'],
    ['СϹ', 'C'],
    ['ЕΕ', 'E'],
    ['НΗ', 'H'],
    ['ІΙӀ', 'I'],
    ['Ј', 'J'],
    ['КΚK', 'K'],
    ['МΜ', 'M'],
    ['Ν', 'N'],
    ['ОΟՕ', 'O'],
    ['РΡ', 'P'],
    ['Ѕ', 'S'],
    ['ТΤ', 'T'],
    ['ХΧ', 'X'],
    ['УΥ', 'Y'],
    ['ΖZ', 'Z'],
    ['․。ꓸ٠۔·‧', '.'],
  ].flatMap(([letters, ascii]) => Array.from(letters!, (letter) => [letter, ascii!] as const)),
)
