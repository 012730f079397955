import { createSecretKey, type KeyObject } from 'node:crypto'
import { errors, type JWTPayload, jwtVerify, SignJWT } from 'jose'
import { UploadError } from '../../core/errors/error.ts'
import type { Actor } from '../../core/upload.ts'
import type { TokenCheck } from './auth.ts'
import { toActor } from './claims.ts'

/** What tokens of the shared secret must say beside who the user is. */
export interface TokenRules {
  /** `null`: of any issuer. */
  issuer: string | null
  /** One of them must be in `aud`; `null`: for any audience. Tokens of our own are for the first. */
  audience: string[] | null
  /** Milliseconds from `iat`, or from now, to `exp`; `null`: any. */
  maxLifetimeMs: number | null
}

export const anyToken: TokenRules = { issuer: null, audience: null, maxLifetimeMs: null }

// Of two machines that keep their clocks.
const leewaySeconds = 5

/**
 * Accepts JWTs signed with one of `secrets` (HS256) that end (`exp`), name a user (`sub`) and a `role`, and may name a `tenant` and say
 * `admin`. The simple case, where whoever signs tokens is trusted with everything.
 */
export function secretCheck(
  secrets: string | string[],
  rules: TokenRules = anyToken,
  now: () => Date = () => new Date(),
): TokenCheck {
  const keys = [secrets].flat().map((secret) => createSecretKey(Buffer.from(secret)))
  return async (token) => {
    const payload = await payloadOf(token, keys, rules, now())
    if (!payload) return null
    checkTimes(payload, rules.maxLifetimeMs, now())
    return toActor({ user: payload.sub, role: payload.role, tenant: payload.tenant, isAdmin: payload.admin })
  }
}

/** What the token says, if one of the keys has signed it. @throws UploadError UNAUTHENTICATED for one that is not valid here, or not now */
async function payloadOf(
  token: string,
  keys: KeyObject[],
  rules: TokenRules,
  currentDate: Date,
): Promise<JWTPayload | null> {
  const { issuer, audience } = rules
  const options = {
    algorithms: ['HS256'],
    clockTolerance: leewaySeconds,
    currentDate,
    requiredClaims: ['exp'],
    ...(issuer !== null && { issuer }),
    ...(audience !== null && { audience }),
  }
  for (const key of keys) {
    try {
      return (await jwtVerify(token, key, options)).payload
    } catch (thrown) {
      if (thrown instanceof errors.JWSSignatureVerificationFailed) continue
      // Claims are looked at once the signature is good: whoever signed the token may be told.
      if (thrown instanceof errors.JWTExpired) throw tokenRejected('The token has expired.')
      if (thrown instanceof errors.JWTClaimValidationFailed) throw tokenRejected(reasonFor(thrown))
      if (thrown instanceof errors.JOSEError) return null
      throw thrown
    }
  }
  return null
}

function checkTimes({ exp, iat }: JWTPayload, maxLifetimeMs: number | null, at: Date): void {
  const now = at.getTime() / 1000
  if (iat !== undefined && iat > now + leewaySeconds) throw tokenRejected('The token says it was issued in the future.')
  if (iat !== undefined && exp! <= iat) throw tokenRejected('The token ends before it begins.')
  if (maxLifetimeMs === null) return
  if (exp! - (iat ?? now) > maxLifetimeMs / 1000 + leewaySeconds || exp! - now > maxLifetimeMs / 1000 + leewaySeconds)
    throw tokenRejected('The token is valid for longer than this server allows (JWT_MAX_LIFETIME).')
}

function reasonFor({ claim, reason }: errors.JWTClaimValidationFailed): string {
  if (reason === 'missing') return `The token has no ${claim}.`
  if (claim === 'nbf') return 'The token is not valid yet.'
  if (claim === 'aud') return 'The token is for another audience.'
  return claim === 'iss' ? 'The token is of another issuer.' : `The token's ${claim} is not valid.`
}

function tokenRejected(message: string): UploadError {
  return new UploadError('UNAUTHENTICATED', message)
}

/** A token that `secretCheck` accepts, for `ttlSeconds`. */
export function signToken(
  secret: string,
  { id, role, tenant, isAdmin }: Pick<Actor, 'id' | 'role'> & Partial<Actor>,
  ttlSeconds: number,
  { issuer, audience }: TokenRules = anyToken,
): Promise<string> {
  const token = new SignJWT({ role, ...(tenant && { tenant }), ...(isAdmin && { admin: true }) })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setSubject(id)
    .setIssuedAt()
    .setExpirationTime(Math.floor(Date.now() / 1000) + ttlSeconds)
  if (issuer !== null) token.setIssuer(issuer)
  if (audience !== null) token.setAudience(audience[0]!)
  return token.sign(Buffer.from(secret))
}
