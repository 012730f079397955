/*
 * Text has no signature, so the library does not recognize it. Text is detected as browsers do, by the absence of bytes that text never
 * contains (mimesniff.spec.whatwg.org, "binary data byte"), and the kind of text by its beginning.
 */

/** The first bytes decoded as text. */
export interface Reading {
  text: string
  /** Whether the bytes are valid UTF-8 or UTF-16; otherwise they are in an older encoding, or are not text at all. */
  isSure: boolean
}

/** Decodes the bytes, which may end in the middle of a character; `null` when they contain bytes that text never contains. */
export function readText(prefix: Buffer): Reading | null {
  if (prefix[0] === 0xff && prefix[1] === 0xfe) return wide(prefix.subarray(2), 'utf-16le')
  if (prefix[0] === 0xfe && prefix[1] === 0xff) return wide(prefix.subarray(2), 'utf-16be')
  // Without a byte order mark only XML is recognized as UTF-16, as in browsers.
  if (prefix[0] === 0x3c && prefix[1] === 0 && prefix[2] !== 0) return wide(prefix, 'utf-16le')
  if (prefix[0] === 0 && prefix[1] === 0x3c && prefix[2] === 0) return wide(prefix, 'utf-16be')
  if (prefix.some(isBinary)) return null
  const text = decode(prefix, 'utf-8')
  return text === null ? { text: prefix.toString('latin1'), isSure: false } : { text, isSure: true }
}

/** Control characters except tab, line feed, form feed, carriage return, and the escape of ISO 2022. */
function isBinary(byte: number): boolean {
  return byte < 0x20 && byte !== 0x09 && byte !== 0x0a && byte !== 0x0c && byte !== 0x0d && byte !== 0x1b
}

function wide(bytes: Buffer, encoding: 'utf-16le' | 'utf-16be'): Reading | null {
  const text = decode(bytes.subarray(0, bytes.length - (bytes.length % 2)), encoding)
  return text === null || Array.from(text, (letter) => letter.charCodeAt(0)).some(isBinary)
    ? null
    : { text, isSure: true }
}

function decode(bytes: Buffer, encoding: string): string | null {
  try {
    // With `stream` an incomplete character at the end is no error.
    return new TextDecoder(encoding, { fatal: true }).decode(bytes, { stream: true })
  } catch {
    return null
  }
}

// Tags with which hardly anything but an HTML page begins. Markdown files, too, begin with `<div>` and the like, and are harmless as text.
const page =
  /^<(!doctype\s+html|html|head|body|title|script|style|meta|base|link|iframe|frameset|object|embed|applet|template|form|img|video|audio|math|input|button|textarea|select|details|marquee|noscript)(?=[\s/>]|$)/i
const root = /^<(?:[\w.-]+:)?([\w.-]+)(?=[\s/>]|$)/
const beforeTheRoot = /^(?:\s+|<\?.*?\?>|<!--.*?-->|<!doctype(?!\s+html\b)[^[>]*(?:\[.*?\]\s*)?>)/is

const beginnings: [beginning: RegExp, mediaType: string][] = [
  [/^%PDF-/, 'application/pdf'],
  [/^%!(PS|$|[\r\n])/, 'application/postscript'],
  [/^\{\\rtf/, 'application/rtf'],
  [/^<\?(php|=)/i, 'application/x-httpd-php'],
  [/^#!\s*\//, 'application/x-sh'],
  [/^@echo (off|on)\b|^rem [^\n]*\n@?echo /i, 'application/x-bat'],
  [/^BEGIN:VCARD\s/i, 'text/vcard'],
  [/^BEGIN:VCALENDAR\s/i, 'text/calendar'],
  [/^WEBVTT(\s|$)/, 'text/vtt'],
]

/** The media type of a text: a page, an image, a program, or plain text. */
export function kindOfText(whole: string): string {
  const text = whole.replace(/^[\ufeff\s]+/, '')
  for (const [beginning, mediaType] of beginnings) if (beginning.test(text)) return mediaType
  return text.startsWith('<') ? kindOfMarkup(text) : 'text/plain'
}

function kindOfMarkup(whole: string): string {
  let text = whole
  for (let before = beforeTheRoot.exec(text); before; before = beforeTheRoot.exec(text))
    text = text.slice(before[0].length)
  if (page.test(text)) return /^<\?xml/i.test(whole) ? 'application/xhtml+xml' : 'text/html'
  const name = root.exec(text)?.[1]?.toLowerCase()
  if (name === 'svg') return 'image/svg+xml'
  if (name === 'html') return 'application/xhtml+xml'
  // A prologue or comment that is longer than the prefix hides the root element.
  if (/^<(\?xml|!doctype)/i.test(whole) || /^<[^>]*\sxmlns(:\w+)?=/.test(text)) return 'application/xml'
  if (/^<!--/.test(text)) return 'text/html'
  return 'text/plain'
}
