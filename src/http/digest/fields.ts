import { readDictionary } from '../structured-fields.ts'
import { type BodyAlgorithm, digestSizes, type StatedDigest } from './verifier.ts'

/** The names of the algorithms in tus, in the order of Tus-Checksum-Algorithm. */
const tusAlgorithms = {
  sha1: 'sha',
  sha256: 'sha-256',
  sha512: 'sha-512',
  md5: 'md5',
  crc32: 'crc32',
} as const satisfies Record<string, BodyAlgorithm>

/** The value of Tus-Checksum-Algorithm. */
export const tusAlgorithmNames = Object.keys(tusAlgorithms).join(',')

/**
 * The digests of Content-Digest or Repr-Digest (RFC 9530) in `algorithms`, in that order; others are left out, as the RFC demands.
 * `null`: the field is no Dictionary, or a digest is no Byte Sequence.
 */
export function readDigestField<Algorithm extends BodyAlgorithm>(
  text: string,
  algorithms: readonly Algorithm[],
): { algorithm: Algorithm; value: Buffer }[] | null {
  const dictionary = readDictionary(text)
  if (!dictionary) return null
  const stated: { algorithm: Algorithm; value: Buffer }[] = []
  for (const algorithm of algorithms) {
    const [value] = dictionary.get(algorithm) ?? []
    if (value === undefined) continue
    if (!(value instanceof ArrayBuffer)) return null
    stated.push({ algorithm, value: Buffer.from(value) })
  }
  return stated
}

/** The digest of Content-MD5 (RFC 1864); `null` for anything but sixteen bytes in Base64. */
export function readContentMd5(text: string): StatedDigest | null {
  const value = Buffer.from(text.trim(), 'base64')
  const isExact = value.length === digestSizes.md5 && value.toString('base64') === text.trim()
  return isExact ? { algorithm: 'md5', value } : null
}

/** The digest of Upload-Checksum (tus 1.0, Checksum); `null` if it is malformed or names an unknown algorithm. */
export function readUploadChecksum(text: string): StatedDigest | null {
  const [, name = '', encoded = ''] = /^([a-z0-9]+) ([A-Za-z0-9+/]+={0,2})$/.exec(text.trim()) ?? []
  if (!Object.hasOwn(tusAlgorithms, name)) return null
  return { algorithm: tusAlgorithms[name as keyof typeof tusAlgorithms], value: Buffer.from(encoded, 'base64') }
}
