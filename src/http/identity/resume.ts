/*
 * Resume tokens. Whoever begins an upload is given a token that is good for this one upload and as long as it lives, so that
 * their own token may end in the middle of it: an upload of hours over a phone's connection outlives most tokens. It may send,
 * ask how far it is, complete and give up; the file that arrived it cannot take away, and it begins nothing and lists nothing.
 *
 * It is a JWT (HS256) under a key of its own, derived from the server's secret, so that no other token can be one and it can be
 * no other. It has no time in it: how long the upload lives moves on with every byte, and the engine knows (core/access/access.ts).
 */
import { createSecretKey, hkdfSync, type KeyObject } from 'node:crypto'
import { decodeProtectedHeader, errors, jwtVerify, SignJWT } from 'jose'
import { type Actor, type Scope, scopes, type Upload } from '../../core/upload.ts'
import type { TokenCheck } from './auth.ts'
import { toActor } from './claims.ts'

/** The header of the answer to a creation. */
export const resumeHeader = 'Upload-Resume-Token'

/** A resume token for an upload that `actor` has begun. */
export type ResumeTokens = (actor: Actor, upload: Pick<Upload, 'id'>) => Promise<string>

const type = 'landfall-resume+jwt'
const audience = 'landfall:resume'

/** Makes resume tokens under the key that `secret` leads to. It carries no more than `actor` may: neither admin rights nor other scopes. */
export function resumeTokens(secret: string): ResumeTokens {
  const key = keyFrom(secret)
  return ({ id, role, tenant, scopes: limits, keyId }, upload) =>
    new SignJWT({
      role,
      upload: upload.id,
      ...(tenant !== null && { tenant }),
      ...(limits && { scopes: limits }),
      ...(keyId && { key: keyId }),
    })
      .setProtectedHeader({ alg: 'HS256', typ: type })
      .setAudience(audience)
      .setSubject(id)
      .setIssuedAt()
      .sign(key)
}

/** Accepts what `resumeTokens` makes of one of the same secrets. */
export function resumeCheck(secrets: string | string[]): TokenCheck {
  const checks = [secrets].flat().map((secret) => checkWith(keyFrom(secret)))
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
    // Most tokens are of another kind, and to look at their signature costs more.
    if (kindOf(token) !== type) return null
    try {
      const { payload } = await jwtVerify(token, key, { algorithms: ['HS256'], typ: type, audience })
      const { sub: user, role, tenant, upload, scopes: limits, key: keyId } = payload
      // A key that speaks for no user begins uploads too: its name is in the token that this server signed.
      const actor = toActor({ user, role, tenant }, { mayBeKey: true })
      if (!actor || typeof upload !== 'string') return null
      return {
        ...actor,
        resumeUploadId: upload,
        ...(Array.isArray(limits) && { scopes: limits.filter(isScope) }),
        ...(typeof keyId === 'string' && { keyId }),
      }
    } catch (thrown) {
      if (thrown instanceof errors.JOSEError) return null
      throw thrown
    }
  }
}

/** What kind of token it says it is; not verified. */
function kindOf(token: string): unknown {
  try {
    return decodeProtectedHeader(token).typ
  } catch {
    return undefined
  }
}

function keyFrom(secret: string): KeyObject {
  return createSecretKey(Buffer.from(hkdfSync('sha256', secret, '', 'landfall resume token v1', 32)))
}

function isScope(value: unknown): value is Scope {
  return scopes.includes(value as Scope)
}
