import { isFingerprint } from '../core/create/fingerprint.ts'
import { errors } from '../core/errors/errors.ts'
import { readMediaType } from '../core/media/media-type.ts'
import type { FileDigests } from '../core/upload.ts'
import { statedDigests } from './digest/metadata-digests.ts'

/**
 * What the server reads from `Upload-Metadata`, in tus and in the RUFH modes of tus-js-client. All other pairs are the client's own and are
 * only echoed.
 */
export interface FileMetadata {
  filename: string | undefined
  contentType: string | undefined
  category: string | undefined
  fingerprint: string | undefined
  /** The digests that the whole file must have; `null` if the metadata states none. */
  digests: Pick<FileDigests, 'expected' | 'wanted'> | null
}

// HEAD must echo the metadata, and clients and proxies accept at most 16 KiB of headers (nginx: 8 KiB a line).
const maxBytes = 8 * 1024
// "The key MUST NOT contain spaces and commas and MUST NOT be empty. The key SHOULD be ASCII encoded."
const validKey = /^[\x21-\x2b\x2d-\x7e]+$/
const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?$/
const utf8 = new TextDecoder('utf-8', { fatal: true })

/**
 * Reads `Upload-Metadata` (tus 1.0, Creation). Values may be any bytes; only a file name and a category must be UTF-8. A type or
 * fingerprint that is not valid is treated as missing.
 * @throws UploadError INVALID_METADATA if the header is not well formed
 */
export function readMetadata(header: string | undefined): FileMetadata {
  const pairs = readPairs(header ?? '')
  const valuesOf = (...names: string[]) =>
    names.flatMap((name) => pairs.get(name) ?? []).filter(({ length }) => length > 0)
  const text = (...names: string[]) => {
    const [value] = valuesOf(...names)
    return value && decode(value)
  }
  // An invalid hint is skipped, and the next name that may carry it is read.
  const hint = (isUsable: (text: string) => boolean, ...names: string[]) =>
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

/**
 * The pairs of `Upload-Metadata` in their order: values as bytes, empty for a key without one.
 * @throws UploadError INVALID_METADATA if the header is not well formed
 */
export function readPairs(header: string): Map<string, Buffer> {
  const pairs = new Map<string, Buffer>()
  if (header.length > maxBytes) throw errors.metadataTooLong({ maxBytes })
  if (header.trim() === '') return pairs
  for (const pair of header.split(',')) {
    const [key = '', value = '', ...rest] = pair.trim().split(' ')
    if (!validKey.test(key)) throw errors.metadataKeyInvalid()
    if (rest.length > 0 || !base64.test(value)) throw errors.metadataNotBase64()
    if (pairs.has(key)) throw errors.metadataKeyRepeated()
    pairs.set(key, Buffer.from(value, 'base64'))
  }
  return pairs
}

function decode(value: Buffer): string {
  const text = decodeLeniently(value)
  if (text === '') throw errors.metadataNotText()
  return text
}

/** An empty string if `value` is not UTF-8. */
function decodeLeniently(value: Buffer): string {
  try {
    return utf8.decode(value).normalize('NFC')
  } catch {
    return ''
  }
}
