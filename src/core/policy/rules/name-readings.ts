import { agreeingName } from '../../media/file-endings.ts'
import { safeSegment } from '../../object-key.ts'

/*
 * The ways in which other programs may read one file name. Patterns that deny names are matched against each of them, so that a name
 * which a desktop, a web server or a person reads as `evil.exe` is denied as well: `evil.exe%20`, `evil.exe::$DATA` or `evil.ехе`
 * (Cyrillic).
 */

/** The file name as it appears in the object key. */
export function storedName(filename: string, contentType: string): string {
  return safeSegment(agreeingName(filename, contentType), maxStoredBytes)
}

const maxStoredBytes = 255
// A name may be percent-encoded more than once; each round decodes one layer.
const maxLayers = 4

/** Every reading of `filename`, including the name itself and the name made safe for an object key. */
export function readingsOf(filename: string): string[] {
  const readings = new Set<string>()
  const add = (name: string) => {
    readings.add(name)
    // Windows opens the file before the colon of a stream, C programs stop at NUL, IIS at a semicolon.
    for (const end of [':', '\0', ';']) {
      const at = name.indexOf(end)
      if (at > 0) readings.add(name.slice(0, at))
    }
    readings.add(name.split(/[/\\]/).findLast((segment) => segment !== '') ?? name)
  }
  for (const name of [filename, safeSegment(filename, maxStoredBytes)]) {
    add(name)
    for (const layer of layersOf(name)) add(fold(layer))
  }
  for (const reading of [...readings]) readings.add(reading.replace(ignoredSuffix, ''))
  return [...readings]
}

/** `text` as a person or a lenient program reads it: NFKC, no invisible characters, and ASCII in place of look-alikes. */
export function fold(text: string): string {
  const plain = text.normalize('NFKC').replace(invisible, '')
  return Array.from(plain, (letter) => lookAlikes.get(letter) ?? letter).join('')
}

/** `text`, and `text` with one or more layers of percent-encoding decoded. */
function* layersOf(text: string): Generator<string> {
  let layer = text
  for (let round = 0; round < maxLayers; round += 1) {
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

// Windows and many programs drop these characters at the end of a name, and so does the object key.
const ignoredSuffix = /[\s.\-_/\\:;"'`*?<>|~\p{Cc}]+$/u

/** Format characters, fillers, variation selectors and other invisible marks. NUL stays, because it ends a name. */
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
