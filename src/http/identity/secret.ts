import { createSecretKey } from 'node:crypto'
import { errors, jwtVerify, SignJWT } from 'jose'
import { UploadError } from '../../core/errors.ts'
import type { Actor } from '../../core/upload.ts'
import type { TokenCheck } from './auth.ts'
import { toActor } from './claims.ts'

/**
 * Accepts JWTs signed with `secret` (HS256) that name a user (`sub`) and a `role`, and may name a `tenant` and say `admin`.
 * The simple case, where whoever signs tokens is trusted with everything.
 */
export function secretCheck(secret: string): TokenCheck {
  const key = createSecretKey(Buffer.from(secret))
  return async (token) => {
    try {
      const { payload } = await jwtVerify(token, key, { algorithms: ['HS256'], clockTolerance: 5 })
      return toActor({ user: payload.sub, role: payload.role, tenant: payload.tenant, isAdmin: payload.admin })
    } catch (thrown) {
      if (thrown instanceof errors.JWTExpired) throw new UploadError('UNAUTHENTICATED', 'The token has expired.')
      if (thrown instanceof errors.JOSEError) return null
      throw thrown
    }
  }
}

/** A token that `secretCheck` accepts, for `ttlSeconds`. */
export function signToken(
  secret: string,
  { id, role, tenant, isAdmin }: Pick<Actor, 'id' | 'role'> & Partial<Actor>,
  ttlSeconds: number,
): Promise<string> {
  return new SignJWT({ role, ...(tenant && { tenant }), ...(isAdmin && { admin: true }) })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setSubject(id)
    .setIssuedAt()
    .setExpirationTime(Math.floor(Date.now() / 1000) + ttlSeconds)
    .sign(Buffer.from(secret))
}
