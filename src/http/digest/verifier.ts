/*
 * The verifier of what a client states about the bytes of a body: Content-Digest, Content-MD5 and Upload-Checksum. How a field is written
 * is in `fields.ts`; which algorithms count, and which error a field that cannot be read gets, is up to the dialect.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { crc32 } from 'node:zlib'
import type { Digest } from '../../core/engine.ts'
import { errors } from '../../core/errors/errors.ts'
import { type DigestAlgorithm, digestAlgorithms } from '../../core/upload.ts'

/** The algorithms of RFC 9530 that the server knows, and the one that only tus has. */
export type BodyAlgorithm = DigestAlgorithm | 'crc32'

/** A digest that a client states about a body. */
export interface StatedDigest {
  algorithm: BodyAlgorithm
  value: Buffer
}

/** Bytes of a digest. */
export const digestSizes: Record<BodyAlgorithm, number> = { 'sha-256': 32, 'sha-512': 64, sha: 20, md5: 16, crc32: 4 }

/** Verifies a body against every digest of `stated`; `undefined` without any. */
export function verifierOf(stated: StatedDigest[]): Digest | undefined {
  if (stated.length === 0) return undefined
  const hashes = stated.map(({ algorithm, value }) => ({ hash: openHash(algorithm), value }))
  return {
    update(chunk) {
      for (const { hash } of hashes) hash.update(chunk)
    },
    verify() {
      for (const { hash, value } of hashes) assertEqual(hash.digest(), value)
    },
  }
}

/** Verifies a body against the digest in its trailer. The trailer names its algorithm only after the last byte, so all of them are computed. */
export function verifierOfTrailer(readTrailer: () => StatedDigest): Digest {
  const algorithms = Object.keys(digestSizes) as BodyAlgorithm[]
  const hashes = new Map(algorithms.map((algorithm) => [algorithm, openHash(algorithm)]))
  return {
    update(chunk) {
      for (const hash of hashes.values()) hash.update(chunk)
    },
    verify() {
      const { algorithm, value } = readTrailer()
      assertEqual(hashes.get(algorithm)!.digest(), value)
    },
  }
}

interface Hash {
  update(chunk: Buffer): void
  digest(): Buffer
}

function openHash(algorithm: BodyAlgorithm): Hash {
  return algorithm === 'crc32' ? openCrc32() : createHash(digestAlgorithms[algorithm])
}

function openCrc32(): Hash {
  let sum = 0
  return {
    update(chunk) {
      sum = crc32(chunk, sum)
    },
    digest() {
      const bytes = Buffer.alloc(digestSizes.crc32)
      bytes.writeUInt32BE(sum)
      return bytes
    },
  }
}

function assertEqual(actual: Buffer, stated: Buffer): void {
  if (actual.length !== stated.length || !timingSafeEqual(actual, stated)) throw errors.checksumMismatch()
}
