import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { type Dictionary, serializeDictionary } from 'structured-headers'
import type { Digest } from '../../core/engine.ts'
import { UploadError } from '../../core/errors/error.ts'
import { type DigestAlgorithm, type Digests, digestAlgorithms, type FileDigests } from '../../core/upload.ts'
import { readDictionary } from './fields.ts'

/** Those that RFC 9530 calls active: the others are ignored in fields, as it asks. */
const algorithms = ['sha-256', 'sha-512'] as const satisfies DigestAlgorithm[]

/**
 * Holds a request's body to its Content-Digest; `undefined` when it promises none in a known algorithm. Of a body that
 * breaks off what came is kept: the digest speaks of the whole of it.
 * @throws UploadError INVALID_REQUEST when the header cannot be read
 */
export function contentDigest(headers: IncomingHttpHeaders): Digest | undefined {
  const promised = Object.entries(readDigests(headers, 'content-digest'))
  if (promised.length === 0) return undefined
  const hashes = promised.map(([algorithm, value]) => ({
    hash: createHash(digestAlgorithms[algorithm as DigestAlgorithm]),
    expected: Buffer.from(value, 'base64'),
  }))
  return {
    acceptsPartialBody: true,
    update(chunk) {
      for (const { hash } of hashes) hash.update(chunk)
    },
    verify() {
      for (const { hash, expected } of hashes) {
        const actual = hash.digest()
        if (actual.length !== expected.length || !timingSafeEqual(actual, expected))
          throw new UploadError('CHECKSUM_MISMATCH', 'The body that arrived is not the one its digest describes.')
      }
    },
  }
}

/**
 * What a creation says of the digests of the whole file: Repr-Digest, and of Want-Repr-Digest what it likes best. An
 * append says nothing of the file: its representation is the patch (RFC 9530, appendix B.11). `stated`: digests that the
 * creation states elsewhere; Repr-Digest is believed rather than those.
 * @throws UploadError INVALID_REQUEST when a header cannot be read
 */
export function fileDigests(
  headers: IncomingHttpHeaders,
  stated: Digests = {},
): Pick<FileDigests, 'expected' | 'wanted'> | null {
  const expected = { ...stated, ...readDigests(headers, 'repr-digest') }
  const wanted = readWanted(headers)
  return Object.keys(expected).length > 0 || wanted.length > 0 ? { expected, wanted } : null
}

/** The Repr-Digest header of a whole file whose digests were asked for. */
export function digestHeader(digests: FileDigests | null): Record<string, string> {
  const known = Object.entries(digests?.actual ?? {}).filter(([name]) => algorithms.some((known) => known === name))
  if (known.length === 0) return {}
  const members = known.map(([algorithm, value]) => [algorithm, Buffer.from(value, 'base64')])
  return { 'repr-digest': serializeDictionary(Object.fromEntries(members)) }
}

function readDigests(headers: IncomingHttpHeaders, name: 'content-digest' | 'repr-digest'): Digests {
  const dictionary = readKnown(headers, name)
  const digests: Digests = {}
  for (const algorithm of algorithms) {
    const member = dictionary.get(algorithm)
    if (member === undefined) continue
    if (!(member[0] instanceof ArrayBuffer)) throw unreadable(name)
    digests[algorithm] = Buffer.from(member[0]).toString('base64')
  }
  return digests
}

/** Preferences from 0 (not acceptable) to 10. */
function readWanted(headers: IncomingHttpHeaders): DigestAlgorithm[] {
  const dictionary = readKnown(headers, 'want-repr-digest')
  const preference = (algorithm: DigestAlgorithm) => Number(dictionary.get(algorithm)?.[0] ?? 0)
  const wanted = algorithms.filter((algorithm) => preference(algorithm) > 0)
  return wanted.toSorted((one, other) => preference(other) - preference(one)).slice(0, 1)
}

function readKnown(headers: IncomingHttpHeaders, name: string): Dictionary {
  const text = headers[name]
  const dictionary = readDictionary(typeof text === 'string' ? text : '')
  if (!dictionary) throw unreadable(name)
  return dictionary
}

function unreadable(name: string): UploadError {
  return new UploadError('INVALID_REQUEST', `The header ${name} has no valid value.`)
}
