import { createHash } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { type Dictionary, parseDictionary } from 'structured-headers'
import type { Digest } from '../../core/engine.ts'
import { UploadError } from '../../core/errors/error.ts'

/** Names of RFC 9530's registry → what Node calls them. The insecure ones still find a damaged wire. */
const algorithms: Record<string, string> = { 'sha-256': 'sha256', 'sha-512': 'sha512', sha: 'sha1', md5: 'md5' }

/**
 * What the request says its body hashes to, by `Content-Digest` (RFC 9530) or the older `Content-MD5`; `undefined` when it
 * says nothing. Of several digests every known one is verified.
 * @throws UploadError INVALID_FIELD when it cannot be read, or names no algorithm that is known here
 */
export function digestOf(headers: IncomingHttpHeaders): Digest | undefined {
  const said = [...readContentMd5(headers['content-md5']), ...readContentDigest(headers['content-digest'])]
  if (said.length === 0) return undefined
  const hashes = said.map(({ algorithm, expected }) => ({ hash: createHash(algorithm), expected }))
  return {
    update(chunk) {
      for (const { hash } of hashes) hash.update(chunk)
    },
    verify() {
      if (hashes.every(({ hash, expected }) => hash.digest().equals(expected))) return
      throw new UploadError('CHECKSUM_MISMATCH', 'The bytes that arrived do not match their checksum.')
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
  if (expected.length !== 16 || expected.toString('base64') !== text) throw unreadable('Content-MD5')
  return [{ algorithm: 'md5', expected }]
}

function readContentDigest(header: string | string[] | undefined): StatedDigest[] {
  if (header === undefined) return []
  const known = [...parsed(String(header))].filter(([name]) => Object.hasOwn(algorithms, name))
  if (known.length === 0) {
    throw new UploadError('INVALID_FIELD', `Content-Digest must have one of ${Object.keys(algorithms).join(', ')}.`)
  }
  return known.map(([name, [value]]) => {
    const algorithm = algorithms[name]!
    if (!(value instanceof ArrayBuffer)) throw unreadable('Content-Digest')
    const expected = Buffer.from(value)
    if (expected.length !== createHash(algorithm).digest().length) throw unreadable('Content-Digest')
    return { algorithm, expected }
  })
}

function parsed(header: string): Dictionary {
  try {
    return parseDictionary(header)
  } catch {
    throw unreadable('Content-Digest')
  }
}

function unreadable(name: string): UploadError {
  return new UploadError('INVALID_FIELD', `${name} is not a valid digest.`)
}
