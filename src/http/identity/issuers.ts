import { decodeJwt, type JWTPayload, type JWTVerifyGetKey, errors as joseErrors, jwtVerify } from 'jose'
import { isUploadError, type UploadError } from '../../core/errors/error.ts'
import { errors } from '../../core/errors/errors.ts'
import type { Actor } from '../../core/upload.ts'
import type { TokenCheck } from './auth.ts'
import { readClaims } from './claims.ts'
import type { Issuer } from './issuer.ts'
import { remoteKeys } from './remote-keys.ts'

/**
 * Accepts the tokens of `issuers`. A token is verified by the settings of the issuer that it names in `iss`, and by no others. The token
 * never chooses the key or the algorithm.
 */
export function issuersCheck(issuers: Issuer[], now: () => Date = () => new Date()): TokenCheck {
  const verifiers = issuers.map((issuer) => ({ issuer, verify: verifierOf(issuer, now) }))
  return async (token) => {
    const claimed = issuerNamedIn(token)
    const candidates = verifiers.filter(({ issuer }) => issuer.issuer === claimed)
    // One issuer may be configured twice, for two audiences.
    let error: UploadError | null = null
    for (const { verify } of candidates) {
      try {
        return await verify(token)
      } catch (thrown) {
        if (!isUploadError(thrown)) throw thrown
        if (error === null || thrown.status !== 401) error = thrown
      }
    }
    if (error) throw error
    return null
  }
}

function verifierOf(issuer: Issuer, now: () => Date): (token: string) => Promise<Actor> {
  const { keys, name } = issuer
  const options = {
    issuer: issuer.issuer,
    algorithms: issuer.algorithms,
    clockTolerance: issuer.clockTolerance / 1000,
    // A token without `exp` would never expire.
    requiredClaims: ['exp'],
    ...(issuer.audience && { audience: issuer.audience }),
  }
  const findKey = keys.kind === 'remote' ? remoteKeys(keys.url, keys.timing) : null
  const fixedKey = keys.kind === 'secret' ? keys.secret : keys.kind === 'public' ? keys.key : null

  return async (token) => {
    if (token.length > issuer.maxTokenBytes) throw errors.tokenTooLong({ issuer: name })
    const checks = { ...options, currentDate: now() }
    const payload = await (findKey ? verifyWith(findKey) : jwtVerify(token, fixedKey!, checks))
      .then((result) => result.payload)
      .catch((thrown: unknown) => {
        throw toUploadError(thrown, name)
      })
    return readClaims(payload, issuer)

    async function verifyWith(find: JWTVerifyGetKey) {
      try {
        return await jwtVerify(token, find, checks)
      } catch (thrown) {
        if (!(thrown instanceof joseErrors.JWKSMultipleMatchingKeys)) throw thrown
        // The token has no `kid`, so each key that may have signed it is tried.
        for await (const key of thrown) {
          const result = await jwtVerify(token, key, checks).catch(ignoreSignature)
          if (result) return result
        }
        throw new joseErrors.JWSSignatureVerificationFailed()
      }
    }
  }
}

function ignoreSignature(thrown: unknown): null {
  if (thrown instanceof joseErrors.JWSSignatureVerificationFailed) return null
  throw thrown
}

/** The claim `iss` of a token, not verified; `null` if the token is not a JWT or has none. */
function issuerNamedIn(token: string): string | null {
  if (!/^[\w-]+\.[\w-]+\.[\w-]*$/.test(token)) return null
  let payload: JWTPayload
  try {
    payload = decodeJwt(token)
  } catch {
    return null
  }
  return typeof payload.iss === 'string' ? payload.iss : null
}

/** The error for a token that was refused. It repeats no text of the token, because any client can write it. */
function toUploadError(thrown: unknown, issuer: string): unknown {
  if (isUploadError(thrown)) return thrown
  if (thrown instanceof joseErrors.JWTExpired) return errors.tokenExpired({ issuer })
  if (thrown instanceof joseErrors.JWTClaimValidationFailed) {
    if (thrown.claim === 'nbf') return errors.tokenNotYetValid({ issuer })
    if (thrown.claim === 'aud') return errors.tokenForOtherAudience({ issuer })
    return errors.tokenInvalid({ issuer, reason: thrown.claim })
  }
  // jose throws a TypeError for a published key that cannot be used, such as one that is too short.
  if (thrown instanceof joseErrors.JOSEError) return errors.tokenInvalid({ issuer, reason: thrown.code })
  return thrown instanceof TypeError ? errors.tokenInvalid({ issuer, reason: 'ERR_KEY' }) : thrown
}
