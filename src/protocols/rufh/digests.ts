import { createHash, type Hash, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import type { Digest } from '../../core/engine.ts'
import { UploadError } from '../../core/errors.ts'
import { readDictionary } from './fields.ts'

/** The algorithms of RFC 9530 that protect against malice, by their names there and in Node. */
const algorithms = { 'sha-256': 'sha256', 'sha-512': 'sha512' } as const
type Algorithm = keyof typeof algorithms

/**
 * The digests of a request's body that its Content-Digest promises, or `undefined` when it promises none that is known.
 * A body that breaks off cannot be compared: what came of it is kept (RFC 9530 speaks of the whole content).
 * @throws UploadError INVALID_REQUEST when the header cannot be read
 */
export function contentDigest(headers: IncomingHttpHeaders): Digest | undefined {
  const promised = Object.entries(readDigests(headers['content-digest'], 'Content-Digest'))
  if (promised.length === 0) return undefined
  const hashes: { hash: Hash; expected: Buffer }[] = promised.map(([name, value]) => ({
    hash: createHash(algorithms[name as Algorithm]),
    expected: Buffer.from(value, 'base64'),
  }))
  return {
    keepsWhatBrokeOff: true,
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

/** Digests by algorithm, in base64; of algorithms that are not known, none. @throws UploadError INVALID_REQUEST */
export function readDigests(header: string | string[] | undefined, name: string): Partial<Record<Algorithm, string>> {
  if (typeof header !== 'string') return {}
  const dictionary = readDictionary(header)
  if (!dictionary) throw new UploadError('INVALID_REQUEST', `The header ${name} has no valid value.`)
  const digests: Partial<Record<Algorithm, string>> = {}
  for (const algorithm of Object.keys(algorithms) as Algorithm[]) {
    const member = dictionary.get(algorithm)
    if (member === undefined) continue
    const value = member[0]
    if (!(value instanceof ArrayBuffer))
      throw new UploadError('INVALID_REQUEST', `The header ${name} has no valid value.`)
    digests[algorithm] = Buffer.from(value).toString('base64')
  }
  return digests
}
