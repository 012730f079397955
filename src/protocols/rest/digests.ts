import type { IncomingHttpHeaders } from 'node:http'
import type { Digest } from '../../core/engine.ts'
import { errors } from '../../core/errors/errors.ts'
import { type DigestAlgorithm, digestAlgorithms } from '../../core/upload.ts'
import { readContentMd5, readDigestField } from '../../http/digest/fields.ts'
import { digestSizes, type StatedDigest, verifierOf } from '../../http/digest/verifier.ts'

/** The insecure ones still detect accidental damage. */
const algorithms = Object.keys(digestAlgorithms) as DigestAlgorithm[]

/**
 * Verifies a body against `Content-Digest` (RFC 9530) and the older `Content-MD5`; `undefined` without either. Every digest in a
 * known algorithm is verified.
 * @throws UploadError INVALID_FIELD when a header cannot be parsed, or Content-Digest has no known algorithm
 */
export function digestOf(headers: IncomingHttpHeaders): Digest | undefined {
  const [md5, digest] = [headers['content-md5'], headers['content-digest']]
  return verifierOf([
    ...(md5 === undefined ? [] : [contentMd5(String(md5))]),
    ...(digest === undefined ? [] : contentDigests(String(digest))),
  ])
}

function contentMd5(text: string): StatedDigest {
  const stated = readContentMd5(text)
  if (!stated) throw errors.digestInvalid({ header: 'Content-MD5' })
  return stated
}

function contentDigests(text: string): StatedDigest[] {
  const stated = readDigestField(text, algorithms)
  if (!stated || stated.some(({ algorithm, value }) => value.length !== digestSizes[algorithm]))
    throw errors.digestInvalid({ header: 'Content-Digest' })
  if (stated.length === 0) throw errors.digestUnknown({ algorithms: algorithms.join(', ') })
  return stated
}
