import { isFingerprint } from '../core/create/fingerprint.ts'
import { UploadError } from '../core/errors/error.ts'
import { readMediaType } from '../core/media/media-type.ts'
import type { FileDigests } from '../core/upload.ts'
import { statedDigests } from './metadata-digests.ts'

/** What `Upload-Metadata` says of the file, in tus and in what tus-js-client says in its RUFH modes; everything else in it is the client's own and is only echoed. */
export interface FileMetadata {
  filename: string | undefined
  contentType: string | undefined
  category: string | undefined
  fingerprint: string | undefined
  /** The digests that the whole file must have; `null` when none is stated. */
  digests: Pick<FileDigests, 'expected' | 'wanted'> | null
}

// HEAD must echo it, and clients as well as proxies take 16 KiB of headers at most (nginx 8 KiB a line).
const maxBytes = 8 * 1024
// "The key MUST NOT contain spaces and commas and MUST NOT be empty. The key SHOULD be ASCII encoded."
const validKey = /^[\x21-\x2b\x2d-\x7e]+$/
const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?$/
const utf8 = new TextDecoder('utf-8', { fatal: true })

/**
 * Reads what the server needs of `Upload-Metadata` (tus 1.0, Creation) and refuses what is not well formed. Values may be
 * any bytes; only a file name and a category must be UTF-8. A type or fingerprint that is none is not there.
 * @throws UploadError INVALID_METADATA
 */
export function readMetadata(header: string | undefined): FileMetadata {
  const pairs = parsePairs(header ?? '')
  const valuesOf = (...names: string[]) =>
    names.flatMap((name) => pairs.get(name) ?? []).filter(({ length }) => length > 0)
  const text = (...names: string[]) => {
    const [value] = valuesOf(...names)
    return value && decode(value)
  }
  // A hint that cannot be used says nothing, and hides no other.
  const hint = (isUsable: (said: string) => boolean, ...names: string[]) =>
    valuesOf(...names)
      .map(decodeLeniently)
      .find(isUsable)
  const expected = statedDigests(pairs)
  return {
    filename: text('filename', 'name'),
    contentType: hint((type) => readMediaType(type) !== null, 'filetype', 'type', 'contentType'),
    category: text('category'),
    fingerprint: hint(isFingerprint, 'fingerprint'),
    digests: Object.keys(expected).length > 0 ? { expected, wanted: [] } : null,
  }
}

function parsePairs(header: string): Map<string, Buffer> {
  const pairs = new Map<string, Buffer>()
  if (header.length > maxBytes) throw invalid(`may have at most ${maxBytes} bytes`)
  if (header.trim() === '') return pairs
  for (const pair of header.split(',')) {
    const [key = '', value = '', ...rest] = pair.trim().split(' ')
    if (!validKey.test(key)) throw invalid('has a key that is empty or not ASCII')
    if (rest.length > 0 || !base64.test(value)) throw invalid('has a value that is not Base64')
    if (pairs.has(key)) throw invalid('has a key twice')
    pairs.set(key, Buffer.from(value, 'base64'))
  }
  return pairs
}

function decode(value: Buffer): string {
  const text = decodeLeniently(value)
  if (text === '') throw invalid('has a file name or category that is not UTF-8')
  return text
}

/** Empty for what is not UTF-8. */
function decodeLeniently(value: Buffer): string {
  try {
    return utf8.decode(value).normalize('NFC')
  } catch {
    return ''
  }
}

function invalid(what: string): UploadError {
  return new UploadError('INVALID_METADATA', `Upload-Metadata ${what}.`)
}
