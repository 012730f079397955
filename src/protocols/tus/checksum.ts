import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { crc32 } from 'node:zlib'
import type { Digest } from '../../core/engine.ts'
import { errors } from '../../core/errors/errors.ts'

interface Hash {
  update(chunk: Buffer): void
  digest(): Buffer
}

const algorithms: Record<string, () => Hash> = {
  sha1: () => createHash('sha1'),
  sha256: () => createHash('sha256'),
  sha512: () => createHash('sha512'),
  md5: () => createHash('md5'),
  crc32: () => {
    let sum = 0
    return {
      update(chunk) {
        sum = crc32(chunk, sum)
      },
      digest() {
        const bytes = Buffer.alloc(4)
        bytes.writeUInt32BE(sum)
        return bytes
      },
    }
  },
}

/** The value of `Tus-Checksum-Algorithm`. */
export const checksumAlgorithms = Object.keys(algorithms).join(',')

/**
 * The digest in `Upload-Checksum`, sent as a header or announced as a trailer; `undefined` without one.
 * @throws UploadError INVALID_REQUEST when the header is malformed or names an unknown algorithm
 * @see tus 1.0, extensions Checksum and Checksum-Trailer
 */
export function readChecksum(request: IncomingMessage): Digest | undefined {
  const header = request.headers['upload-checksum']
  if (header !== undefined) return expect(parse(String(header)))
  const announced = request.headers.trailer?.split(',').some((name) => name.trim().toLowerCase() === 'upload-checksum')
  return announced ? expectTrailer(request) : undefined
}

function expect({ algorithm, sum }: { algorithm: string; sum: Buffer }): Digest {
  const hash = algorithms[algorithm]!()
  return {
    update: (chunk) => hash.update(chunk),
    verify: () => compare(hash.digest(), sum),
  }
}

/** The trailer names its algorithm only after the last byte, so every algorithm is computed. */
function expectTrailer(request: IncomingMessage): Digest {
  const hashes = Object.entries(algorithms).map(([algorithm, create]) => [algorithm, create()] as const)
  return {
    update(chunk) {
      for (const [, hash] of hashes) hash.update(chunk)
    },
    verify() {
      const trailer = request.trailers['upload-checksum']
      if (trailer === undefined) throw errors.checksumTrailerMissing()
      const { algorithm, sum } = parse(trailer)
      compare(hashes.find(([name]) => name === algorithm)![1].digest(), sum)
    },
  }
}

function parse(header: string): { algorithm: string; sum: Buffer } {
  const [, algorithm = '', encoded = ''] = /^([a-z0-9]+) ([A-Za-z0-9+/]+={0,2})$/.exec(header.trim()) ?? []
  if (!Object.hasOwn(algorithms, algorithm)) throw errors.checksumInvalid({ algorithms: checksumAlgorithms })
  return { algorithm, sum: Buffer.from(encoded, 'base64') }
}

function compare(actual: Buffer, expected: Buffer): void {
  if (actual.length === expected.length && timingSafeEqual(actual, expected)) return
  throw errors.checksumMismatch()
}
