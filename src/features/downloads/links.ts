/*
 * Links to files: `/d/{token}/{name}`. A token says which file, until when and how it is shown, with a MAC over all of it, so a link costs no
 * row, and a server needs nothing but the secret to verify it. It names the epoch of the file's links: revocation begins the next one.
 *
 * A token is 48 bytes, so its Base64 has no spare bits and only one spelling:
 *
 *   version 1 · key id 4 · file 16 · link epoch 4 · expiry in seconds 6 · flags 1 · MAC 16 (HMAC-SHA-256, cut)
 *
 * The key is derived from a secret of JWT_SECRET, as those of resume tokens are: the first secret signs, all verify.
 */
import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'
import type { Disposition } from '../../http/representation/disposition.ts'

/** What a link says. */
export interface LinkClaims {
  fileId: string
  linkEpoch: number
  /** Seconds since 1970. */
  expiresAt: number
  disposition: Disposition
}

/** Makes and reads tokens of links. */
export interface LinkTokens {
  sign(claims: LinkClaims): string
  /** What a token with a valid MAC says, also when it has expired; `null`: this server did not make it. */
  verify(token: string): LinkClaims | null
}

const version = 1
const claimBytes = 32
const macBytes = 16
const attachmentFlag = 1

/** The tokens of links, with keys derived from `secrets`. */
export function linkTokens(secrets: readonly [string, ...string[]]): LinkTokens {
  const keys = secrets.map(deriveKey) as [LinkKey, ...LinkKey[]]
  return {
    sign(claims) {
      const [key] = keys
      const bytes = encode(claims, key.id)
      return Buffer.concat([bytes, macOf(key, bytes)]).toString('base64url')
    },
    verify(token) {
      const bytes = /^[\w-]{64}$/.test(token) ? Buffer.from(token, 'base64url') : Buffer.alloc(0)
      if (bytes.length !== claimBytes + macBytes || bytes[0] !== version) return null
      const [claims, mac] = [bytes.subarray(0, claimBytes), bytes.subarray(claimBytes)]
      const key = keys.find(({ id }) => id === claims.readUInt32BE(1))
      return key && timingSafeEqual(macOf(key, claims), mac) ? decode(claims) : null
    },
  }
}

/**
 * When a link that is made `now` for `lifetime` seconds expires, in seconds since 1970. It is rounded up to a window of a quarter of the
 * lifetime, an hour at most: within a window equal requests get equal URLs, which browsers find in their cache.
 */
export function expiryOf(now: Date, lifetime: number): number {
  const window = Math.max(1, Math.min(3600, Math.floor(lifetime / 4)))
  return Math.ceil((now.getTime() / 1000 + lifetime) / window) * window
}

interface LinkKey {
  id: number
  key: Buffer
}

function deriveKey(secret: string): LinkKey {
  const derived = Buffer.from(hkdfSync('sha256', secret, '', 'landfall file link v1', 36))
  return { id: derived.readUInt32BE(32), key: derived.subarray(0, 32) }
}

function macOf({ key }: LinkKey, claims: Buffer): Buffer {
  return createHmac('sha256', key).update(claims).digest().subarray(0, macBytes)
}

function encode({ fileId, linkEpoch, expiresAt, disposition }: LinkClaims, keyId: number): Buffer {
  const bytes = Buffer.alloc(claimBytes)
  bytes.writeUInt8(version, 0)
  bytes.writeUInt32BE(keyId, 1)
  bytes.write(fileId.replaceAll('-', ''), 5, 'hex')
  bytes.writeUInt32BE(linkEpoch, 21)
  bytes.writeUIntBE(expiresAt, 25, 6)
  bytes.writeUInt8(disposition === 'attachment' ? attachmentFlag : 0, 31)
  return bytes
}

function decode(bytes: Buffer): LinkClaims {
  const hex = bytes.toString('hex', 5, 21)
  return {
    fileId: hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5'),
    linkEpoch: bytes.readUInt32BE(21),
    expiresAt: bytes.readUIntBE(25, 6),
    disposition: bytes[31] === attachmentFlag ? 'attachment' : 'inline',
  }
}
