/** Whether a browser shows a file in its window or saves it. */
export type Disposition = 'inline' | 'attachment'

/**
 * The Content-Disposition header of a file called `name` (RFC 6266): the name in UTF-8 (RFC 8187), and before it in ASCII for clients that
 * do not read that.
 */
export function contentDisposition(disposition: Disposition, name: string): string {
  const safe = safeName(name)
  // A browser may decode a percent sign, and a quote or backslash would end the string.
  const ascii = safe.replace(/[^\x20-\x7e]|["%\\]/gu, '_')
  return `${disposition}; filename="${ascii}"; filename*=UTF-8''${encodeExtended(safe)}`
}

/**
 * A name that is one file in any folder and reads as it is spelt: without separators and control characters, and without the marks by
 * which text is turned round, so that `exe.gnp` is not read as `png.exe`.
 */
export function safeName(name: string): string {
  const safe = name
    .toWellFormed()
    .normalize('NFC')
    .replace(/[\p{Cc}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069/\\]/gu, '_')
    .trim()
  return /^\.*$/.test(safe) ? 'file' : safe
}

/** The characters that `ext-value` of RFC 8187 may have are fewer than those that encodeURIComponent leaves. */
function encodeExtended(text: string): string {
  return encodeURIComponent(text).replace(/['()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
}
