/**
 * The file name in a Content-Disposition header, or `undefined`: `filename*` (RFC 8187) if it can be decoded, else
 * `filename` (RFC 6266). The type, such as `inline`, is ignored. A parameter that cannot be decoded is ignored and never an error:
 * the file matters more than its name.
 */
export function filenameIn(header: string | undefined): string | undefined {
  if (header === undefined) return undefined
  const parameters = new Map<string, string>()
  const parameter = /;[ \t]*([\w!#$&+.^`|~*-]+)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))/gy
  parameter.lastIndex = /^[ \t]*[\w-]*[ \t]*/.exec(header)![0].length
  for (;;) {
    const [matched, name, quoted, token] = parameter.exec(header) ?? []
    if (matched === undefined) break
    const value = quoted === undefined ? (token ?? '') : quoted.replace(/\\(.)/g, '$1')
    if (!parameters.has(name!.toLowerCase())) parameters.set(name!.toLowerCase(), value)
    parameter.lastIndex += /^[ \t]*/.exec(header.slice(parameter.lastIndex))![0].length
  }
  const extended = parameters.get('filename*')
  const plain = parameters.get('filename')
  const name = (extended && decodeExtended(extended)) ?? (plain && decodeBytes(plain))
  return name ? lastSegment(name) : undefined
}

/** RFC 8187: charset ' language ' percent-encoded bytes. UTF-8 is required; ISO-8859-1 costs one line. */
function decodeExtended(value: string): string | undefined {
  const [, charset, encoded] = /^([\w-]+)'[\w-]*'((?:[\w!#$&+.^`|~-]|%[\da-f]{2})*)$/i.exec(value) ?? []
  if (charset === undefined) return undefined
  const bytes = Buffer.from(
    encoded!.replace(/%(..)/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  )
  if (charset.toLowerCase() === 'iso-8859-1') return bytes.toString('latin1')
  return charset.toLowerCase() === 'utf-8' ? utf8(bytes) : undefined
}

/** Node decodes headers as ISO-8859-1, but many clients encode them as UTF-8. */
function decodeBytes(value: string): string {
  return utf8(Buffer.from(value, 'latin1')) ?? value
}

function utf8(bytes: Buffer): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return undefined
  }
}

/** RFC 6266, section 4.3: a recipient uses the last path segment only, after a slash or a backslash. */
function lastSegment(name: string): string {
  return name.split(/[/\\]/).at(-1)!
}
