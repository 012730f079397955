import { createSecretKey, type KeyObject } from 'node:crypto'
import { type JWTPayload, errors as joseErrors, jwtVerify, SignJWT } from 'jose'
import type { UploadError } from '../../core/errors/error.ts'
import { errors } from '../../core/errors/errors.ts'
import type { Actor } from '../../core/upload.ts'
import type { TokenCheck } from './auth.ts'
import { toActor } from './claims.ts'

/** What the claims of tokens signed with the shared secret must be, apart from user and role. */
export interface TokenRules {
  /** The required `iss`; `null`: any issuer. */
  issuer: string | null
  /** One of these must be in `aud`; `null`: any audience. Tokens that this server signs are for the first. */
  audience: string[] | null
  /** Maximum milliseconds from `iat`, and from now, to `exp`; `null`: any. */
  maxLifetimeMs: number | null
}

export const anyToken: TokenRules = { issuer: null, audience: null, maxLifetimeMs: null }

// Accepted difference between two synchronized clocks.
const leewaySeconds = 5

/**
 * Accepts JWTs signed with one of `secrets` (HS256). They must have `exp`, a user (`sub`) and a `role`, and may have a `tenant` and
 * `admin`. For the simple setup in which the holder of the secret is trusted to make any user an admin.
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

/**
 * The claims of the token; `null` if none of the keys has signed it.
 * @throws UploadError UNAUTHENTICATED if it has a valid signature and its claims do not fit `rules` or the current time
 */
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
      if (thrown instanceof joseErrors.JWSSignatureVerificationFailed) continue
      // jose checks claims after the signature, so only a client with a properly signed token learns which claim is wrong.
      if (thrown instanceof joseErrors.JWTExpired) throw errors.tokenExpired()
      if (thrown instanceof joseErrors.JWTClaimValidationFailed) throw errorForClaim(thrown)
      if (thrown instanceof joseErrors.JOSEError) return null
      throw thrown
    }
  }
  return null
}

function checkTimes({ exp, iat }: JWTPayload, maxLifetimeMs: number | null, at: Date): void {
  const now = at.getTime() / 1000
  if (iat !== undefined && iat > now + leewaySeconds) throw errors.tokenIssuedInFuture()
  if (iat !== undefined && exp! <= iat) throw errors.tokenEndsBeforeIssue()
  if (maxLifetimeMs === null) return
  if (exp! - (iat ?? now) > maxLifetimeMs / 1000 + leewaySeconds || exp! - now > maxLifetimeMs / 1000 + leewaySeconds)
    throw errors.tokenLifetimeTooLong()
}

function errorForClaim({ claim, reason }: joseErrors.JWTClaimValidationFailed): UploadError {
  if (reason === 'missing') return errors.tokenClaimMissing({ claim })
  if (claim === 'nbf') return errors.tokenNotYetValid()
  if (claim === 'aud') return errors.tokenForOtherAudience()
  return claim === 'iss' ? errors.tokenOfOtherIssuer() : errors.tokenClaimInvalid({ claim })
}

/** Signs a token that `secretCheck` accepts for `ttlSeconds`. */
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
