import type { IncomingHttpHeaders } from 'node:http'
import type { Digest } from '../../core/engine.ts'
import { errors } from '../../core/errors/errors.ts'
import type { DigestAlgorithm, Digests, FileDigests } from '../../core/upload.ts'
import { readDigestField } from '../../http/digest/fields.ts'
import { verifierOf } from '../../http/digest/verifier.ts'
import { readDictionary, serializeDictionary } from '../../http/structured-fields.ts'

/** The algorithms that RFC 9530 calls active. It requires that others in a field are ignored. */
const algorithms = ['sha-256', 'sha-512'] as const satisfies DigestAlgorithm[]

/**
 * Verifies the body of a request against its Content-Digest; `undefined` without a digest in a known algorithm. The bytes of
 * a broken body are kept unverified, because the digest covers the whole body.
 * @throws UploadError INVALID_REQUEST when the header cannot be parsed
 */
export function contentDigest(headers: IncomingHttpHeaders): Digest | undefined {
  const verifier = verifierOf(readDigests(headers, 'content-digest'))
  return verifier && { ...verifier, acceptsPartialBody: true }
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
  const expected = { ...stated, ...inBase64(readDigests(headers, 'repr-digest')) }
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

function readDigests(headers: IncomingHttpHeaders, name: 'content-digest' | 'repr-digest') {
  const digests = readDigestField(textOf(headers, name), algorithms)
  if (!digests) throw errors.fieldInvalid({ header: name })
  return digests
}

function inBase64(digests: { algorithm: DigestAlgorithm; value: Buffer }[]): Digests {
  return Object.fromEntries(digests.map(({ algorithm, value }) => [algorithm, value.toString('base64')]))
}

/** The preferred algorithm, if any. Preferences range from 0 (not acceptable) to 10. */
function readWanted(headers: IncomingHttpHeaders): DigestAlgorithm[] {
  const dictionary = readDictionary(textOf(headers, 'want-repr-digest'))
  if (!dictionary) throw errors.fieldInvalid({ header: 'want-repr-digest' })
  const preference = (algorithm: DigestAlgorithm) => Number(dictionary.get(algorithm)?.[0] ?? 0)
  const wanted = algorithms.filter((algorithm) => preference(algorithm) > 0)
  return wanted.toSorted((one, other) => preference(other) - preference(one)).slice(0, 1)
}

/** An absent field is an empty Dictionary (RFC 9651, section 3.2). */
function textOf(headers: IncomingHttpHeaders, name: string): string {
  const text = headers[name]
  return typeof text === 'string' ? text : ''
}
