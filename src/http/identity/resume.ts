/*
 * Resume tokens. The client that creates an upload gets a token that is valid for this upload only, for as long as the upload lives. An
 * upload of hours over a mobile connection outlives most access tokens, so the client's own token may expire before it is complete. A
 * resume token may send bytes, read the offset, complete the upload and cancel it while it is incomplete. It cannot delete a completed
 * file, create uploads or list them.
 *
 * It is a JWT (HS256) signed with a key of its own, which is derived from the server's secret: no other token is accepted as a resume
 * token, and no resume token as another one. It has no `exp`, because every byte extends the life of the upload; the engine checks
 * whether the upload is still active (core/access/access.ts).
 */
import { createHmac, createSecretKey, hkdfSync, type KeyObject } from 'node:crypto'
import { decodeProtectedHeader, errors as joseErrors, jwtVerify } from 'jose'
import { type Actor, type Scope, scopes, type Upload } from '../../core/upload.ts'
import type { TokenCheck } from './auth.ts'
import { toActor } from './claims.ts'

/** The response header of a creation that carries the resume token. */
export const resumeHeader = 'Upload-Resume-Token'

/** Makes a resume token for an upload that `actor` has created. */
export type ResumeTokens = (actor: Actor, upload: Pick<Upload, 'id'>) => string

const type = 'landfall-resume+jwt'
const audience = 'landfall:resume'

/**
 * Makes resume tokens with the key derived from `secret`. A token carries the scopes of its actor and never admin rights. It is signed here,
 * because every creation gets one: jose signs with WebCrypto, which takes ten times the CPU time.
 */
export function resumeTokens(secret: string): ResumeTokens {
  const key = deriveKey(secret)
  const header = encode({ alg: 'HS256', typ: type })
  return ({ id, role, tenant, scopes: limits, keyId }, upload) => {
    const claims = {
      role,
      upload: upload.id,
      ...(tenant !== null && { tenant }),
      ...(limits && { scopes: limits }),
      ...(keyId && { key: keyId }),
      aud: audience,
      sub: id,
      iat: Math.floor(Date.now() / 1000),
    }
    const signed = `${header}.${encode(claims)}`
    return `${signed}.${createHmac('sha256', key).update(signed).digest('base64url')}`
  }
}

/** A part of a JWT (RFC 7515, section 3.1). */
function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

/** Accepts resume tokens that were made with one of `secrets`. */
export function resumeCheck(secrets: string | string[]): TokenCheck {
  const checks = [secrets].flat().map((secret) => checkWith(deriveKey(secret)))
  return async (token) => {
    for (const check of checks) {
      const actor = await check(token)
      if (actor) return actor
    }
    return null
  }
}

function checkWith(key: KeyObject): TokenCheck {
  return async (token) => {
    // Most tokens are of another kind, and reading the header is cheaper than verifying a signature.
    if (typeOf(token) !== type) return null
    try {
      const { payload } = await jwtVerify(token, key, { algorithms: ['HS256'], typ: type, audience })
      const { sub: user, role, tenant, upload, scopes: limits, key: keyId } = payload
      // An API key that acts for no user creates uploads too. Its id is accepted here because this server signed the token.
      const actor = toActor({ user, role, tenant }, { mayBeKey: true })
      if (!actor || typeof upload !== 'string') return null
      return {
        ...actor,
        resumeUploadId: upload,
        ...(Array.isArray(limits) && { scopes: limits.filter(isScope) }),
        ...(typeof keyId === 'string' && { keyId }),
      }
    } catch (thrown) {
      if (thrown instanceof joseErrors.JOSEError) return null
      throw thrown
    }
  }
}

/** The `typ` of a token's header, not verified. */
function typeOf(token: string): unknown {
  try {
    return decodeProtectedHeader(token).typ
  } catch {
    return undefined
  }
}

function deriveKey(secret: string): KeyObject {
  return createSecretKey(Buffer.from(hkdfSync('sha256', secret, '', 'landfall resume token v1', 32)))
}

function isScope(value: unknown): value is Scope {
  return scopes.includes(value as Scope)
}
