import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { type Dictionary, serializeDictionary } from 'structured-headers'
import type { Digest } from '../../core/engine.ts'
import { errors } from '../../core/errors/errors.ts'
import { type DigestAlgorithm, type Digests, digestAlgorithms, type FileDigests } from '../../core/upload.ts'
import { readDictionary } from './fields.ts'

/** The algorithms that RFC 9530 calls active. It requires that others in a field are ignored. */
const algorithms = ['sha-256', 'sha-512'] as const satisfies DigestAlgorithm[]

/**
 * Verifies the body of a request against its Content-Digest; `undefined` without a digest in a known algorithm. The bytes of
 * a broken body are kept unverified, because the digest covers the whole body.
 * @throws UploadError INVALID_REQUEST when the header cannot be parsed
 */
export function contentDigest(headers: IncomingHttpHeaders): Digest | undefined {
  const stated = Object.entries(readDigests(headers, 'content-digest'))
  if (stated.length === 0) return undefined
  const hashes = stated.map(([algorithm, value]) => ({
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
        if (actual.length !== expected.length || !timingSafeEqual(actual, expected)) throw errors.checksumMismatch()
      }
    },
  }
}

/**
 * The digests of the whole file in the headers of a creation: those in Repr-Digest, and the preferred algorithm in
 * Want-Repr-Digest. The same headers of an append describe the patch and not the file (RFC 9530, appendix B.11).
 * @param stated digests that the creation states elsewhere; Repr-Digest takes precedence
 * @throws UploadError INVALID_REQUEST when a header cannot be parsed
 */
export function fileDigests(
  headers: IncomingHttpHeaders,
  stated: Digests = {},
): Pick<FileDigests, 'expected' | 'wanted'> | null {
  const expected = { ...stated, ...readDigests(headers, 'repr-digest') }
  const wanted = readWanted(headers)
  return Object.keys(expected).length > 0 || wanted.length > 0 ? { expected, wanted } : null
}

/** The Repr-Digest header of a complete file whose creation asked for digests. */
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
    if (!(member[0] instanceof ArrayBuffer)) throw errors.fieldInvalid({ header: name })
    digests[algorithm] = Buffer.from(member[0]).toString('base64')
  }
  return digests
}

/** The preferred algorithm, if any. Preferences range from 0 (not acceptable) to 10. */
function readWanted(headers: IncomingHttpHeaders): DigestAlgorithm[] {
  const dictionary = readKnown(headers, 'want-repr-digest')
  const preference = (algorithm: DigestAlgorithm) => Number(dictionary.get(algorithm)?.[0] ?? 0)
  const wanted = algorithms.filter((algorithm) => preference(algorithm) > 0)
  return wanted.toSorted((one, other) => preference(other) - preference(one)).slice(0, 1)
}

function readKnown(headers: IncomingHttpHeaders, name: string): Dictionary {
  const text = headers[name]
  const dictionary = readDictionary(typeof text === 'string' ? text : '')
  if (!dictionary) throw errors.fieldInvalid({ header: name })
  return dictionary
}
