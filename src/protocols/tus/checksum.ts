import type { IncomingMessage } from 'node:http'
import type { Digest } from '../../core/engine.ts'
import { errors } from '../../core/errors/errors.ts'
import { readUploadChecksum, tusAlgorithmNames } from '../../http/digest/fields.ts'
import { type StatedDigest, verifierOf, verifierOfTrailer } from '../../http/digest/verifier.ts'

/**
 * The digest in `Upload-Checksum`, sent as a header or announced as a trailer; `undefined` without one.
 * @throws UploadError INVALID_REQUEST when the header is malformed or names an unknown algorithm
 * @see tus 1.0, extensions Checksum and Checksum-Trailer
 */
export function readChecksum(request: IncomingMessage): Digest | undefined {
  const header = request.headers['upload-checksum']
  if (header !== undefined) return verifierOf([parse(String(header))])
  const announced = request.headers.trailer?.split(',').some((name) => name.trim().toLowerCase() === 'upload-checksum')
  return announced ? verifierOfTrailer(() => readTrailer(request)) : undefined
}

function readTrailer({ trailers }: IncomingMessage): StatedDigest {
  const trailer = trailers['upload-checksum']
  if (trailer === undefined) throw errors.checksumTrailerMissing()
  return parse(trailer)
}

function parse(text: string): StatedDigest {
  const stated = readUploadChecksum(text)
  if (!stated) throw errors.checksumInvalid({ algorithms: tusAlgorithmNames })
  return stated
}
