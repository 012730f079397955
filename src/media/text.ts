/*
 * Text has no signature, so no library of signatures knows it. What is text is told by what text never holds, as browsers do it
 * (mimesniff.spec.whatwg.org, "binary data byte"); which text, by how it begins.
 */

/** The first bytes read as text, if nothing in them speaks against it. */
export interface Reading {
  text: string
  /** The bytes are good UTF-8 or UTF-16; otherwise some older encoding, or no text at all. */
  isSure: boolean
}

/** `null` when the bytes hold what text never does. They may end in the middle of a character. */
export function readText(head: Buffer): Reading | null {
  if (head[0] === 0xff && head[1] === 0xfe) return wide(head.subarray(2), 'utf-16le')
  if (head[0] === 0xfe && head[1] === 0xff) return wide(head.subarray(2), 'utf-16be')
  // Without a mark, only markup is known for it: browsers take these bytes for the beginning of XML.
  if (head[0] === 0x3c && head[1] === 0 && head[2] !== 0) return wide(head, 'utf-16le')
  if (head[0] === 0 && head[1] === 0x3c && head[2] === 0) return wide(head, 'utf-16be')
  if (head.some(isBinary)) return null
  const sure = decode(head, 'utf-8')
  return sure === null ? { text: head.toString('latin1'), isSure: false } : { text: sure, isSure: true }
}

/** Kept: tab, line feed, form feed, carriage return, and the escape of ISO 2022. */
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
    // `stream` forgives a character that is cut off at the end.
    return new TextDecoder(encoding, { fatal: true }).decode(bytes, { stream: true })
  } catch {
    return null
  }
}

// What begins a page and hardly ever anything else. `<div>` and its like begin Markdown files as well, and as text they are
// harmless.
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

/** What a text is: a page, a drawing, a program, or just text. */
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
  // A prologue or a comment that goes on beyond what is seen hides the root.
  if (/^<(\?xml|!doctype)/i.test(whole) || /^<[^>]*\sxmlns(:\w+)?=/.test(text)) return 'application/xml'
  if (/^<!--/.test(text)) return 'text/html'
  return 'text/plain'
}
