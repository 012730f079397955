import { createHash } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { type Dictionary, parseDictionary } from 'structured-headers'
import type { Digest } from '../../core/engine.ts'
import { errors } from '../../core/errors/errors.ts'

/** Names in RFC 9530's registry → names in Node. The insecure algorithms still detect accidental damage. */
const algorithms: Record<string, string> = { 'sha-256': 'sha256', 'sha-512': 'sha512', sha: 'sha1', md5: 'md5' }

/**
 * Verifies a body against `Content-Digest` (RFC 9530) and the older `Content-MD5`; `undefined` without either. Every digest in a
 * known algorithm is verified.
 * @throws UploadError INVALID_FIELD when a header cannot be parsed, or Content-Digest has no known algorithm
 */
export function digestOf(headers: IncomingHttpHeaders): Digest | undefined {
  const stated = [...readContentMd5(headers['content-md5']), ...readContentDigest(headers['content-digest'])]
  if (stated.length === 0) return undefined
  const hashes = stated.map(({ algorithm, expected }) => ({ hash: createHash(algorithm), expected }))
  return {
    update(chunk) {
      for (const { hash } of hashes) hash.update(chunk)
    },
    verify() {
      if (hashes.every(({ hash, expected }) => hash.digest().equals(expected))) return
      throw errors.checksumMismatch()
    },
  }
}

interface StatedDigest {
  algorithm: string
  expected: Buffer
}

function readContentMd5(header: string | string[] | undefined): StatedDigest[] {
  if (header === undefined) return []
  const text = String(header).trim()
  const expected = Buffer.from(text, 'base64')
  if (expected.length !== 16 || expected.toString('base64') !== text)
    throw errors.digestInvalid({ header: 'Content-MD5' })
  return [{ algorithm: 'md5', expected }]
}

function readContentDigest(header: string | string[] | undefined): StatedDigest[] {
  if (header === undefined) return []
  const known = [...parsed(String(header))].filter(([name]) => Object.hasOwn(algorithms, name))
  if (known.length === 0) throw errors.digestUnknown({ algorithms: Object.keys(algorithms).join(', ') })
  return known.map(([name, [value]]) => {
    const algorithm = algorithms[name]!
    if (!(value instanceof ArrayBuffer)) throw errors.digestInvalid({ header: 'Content-Digest' })
    const expected = Buffer.from(value)
    if (expected.length !== createHash(algorithm).digest().length)
      throw errors.digestInvalid({ header: 'Content-Digest' })
    return { algorithm, expected }
  })
}

function parsed(header: string): Dictionary {
  try {
    return parseDictionary(header)
  } catch {
    throw errors.digestInvalid({ header: 'Content-Digest' })
  }
}
