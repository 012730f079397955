/*
 * tus has no field for the checksum of the whole file, so clients state it in Upload-Metadata, each in its own form: the algorithm is the
 * key (`sha256`, `SHA-1`, `md5sum`), or precedes the value (`checksum: sha1 2fd4…`, as in ownCloud and OpenCloud), or follows from the
 * number of hexadecimal digits. A value in no such form is the client's own metadata and is not checked.
 */
import { type DigestAlgorithm, type Digests, digestAlgorithms } from '../../core/upload.ts'
import { digestSizes } from './verifier.ts'

const algorithms = Object.keys(digestAlgorithms) as DigestAlgorithm[]

/**
 * The digests of the whole file that `pairs`, the decoded Upload-Metadata, state without ambiguity: Base64 by algorithm. An algorithm that
 * has two different values is left out.
 */
export function statedDigests(pairs: Iterable<[string, Buffer]>): Digests {
  const stated = new Map<DigestAlgorithm, Set<string>>()
  for (const [key, value] of pairs) {
    const found = readPair(key, value)
    if (!found) continue
    const values = stated.get(found.algorithm) ?? new Set()
    stated.set(found.algorithm, values.add(found.digest.toString('base64')))
  }
  const single = [...stated].filter(([, values]) => values.size === 1)
  return Object.fromEntries(single.map(([algorithm, [value]]) => [algorithm, value]))
}

interface StatedDigest {
  algorithm: DigestAlgorithm
  digest: Buffer
}

function readPair(key: string, value: Buffer): StatedDigest | null {
  const name = normalize(key)
  const isGeneral = name === 'checksum'
  const byKey = isGeneral ? null : algorithmNamed(name.replace(/^(?:checksum|content)|(?:sum|checksum|hash)$/g, ''))
  if (!isGeneral && !byKey) return null
  const text = value.toString('latin1').trim()
  if (byKey && value.length === digestSizes[byKey] && !/^[\x20-\x7e]+$/.test(text))
    return { algorithm: byKey, digest: value }
  const [, prefix, digits = ''] = /^(?:([a-z]+[-_]?\d*)(?:=:|[ :=])\s*)?([\w+/-][\w+/=-]*?):?$/i.exec(text) ?? []
  const byPrefix = prefix === undefined ? null : algorithmNamed(normalize(prefix))
  if (prefix !== undefined && (!byPrefix || (byKey && byKey !== byPrefix))) return null
  const algorithm = byPrefix ?? byKey ?? algorithmOfHex(digits)
  const digest = algorithm && decode(digits, digestSizes[algorithm])
  return algorithm && digest ? { algorithm, digest } : null
}

const normalize = (name: string) => name.toLowerCase().replaceAll(/[-_. ]/g, '')

function algorithmNamed(name: string): DigestAlgorithm | null {
  return algorithms.find((algorithm) => digestAlgorithms[algorithm] === name) ?? null
}

function algorithmOfHex(digits: string): DigestAlgorithm | null {
  return algorithms.find((algorithm) => decodeHex(digits, digestSizes[algorithm])) ?? null
}

/** `digits` decoded to `size` bytes, from hexadecimal or either alphabet of Base64; `null` if they are neither. */
function decode(digits: string, size: number): Buffer | null {
  const base64 = Buffer.from(digits, 'base64')
  const isBase64 =
    base64.length === size &&
    base64.toString('base64url') === digits.replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '')
  return decodeHex(digits, size) ?? (isBase64 ? base64 : null)
}

function decodeHex(digits: string, size: number): Buffer | null {
  return digits.length === size * 2 && /^[\da-f]+$/i.test(digits) ? Buffer.from(digits, 'hex') : null
}
