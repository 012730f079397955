import { decodeJwt, errors, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from 'jose'
import { isUploadError, UploadError } from '../../core/errors/error.ts'
import type { Actor } from '../../core/upload.ts'
import type { TokenCheck } from './auth.ts'
import { readClaims } from './claims.ts'
import type { Issuer } from './issuer.ts'
import { remoteKeys } from './remote-keys.ts'

/**
 * Accepts the tokens of `issuers`: a token is checked by the rules of the issuer that it names, and by no others. With which
 * key and algorithm is never the token's choice.
 */
export function issuersCheck(issuers: Issuer[], now: () => Date = () => new Date()): TokenCheck {
  const verifiers = issuers.map((issuer) => ({ issuer, verify: verifierOf(issuer, now) }))
  return async (token) => {
    const claimed = issuerNamedIn(token)
    const mine = verifiers.filter(({ issuer }) => issuer.issuer === claimed)
    // One issuer may stand there twice, for two audiences.
    let error: UploadError | null = null
    for (const { verify } of mine) {
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
    // Without it a token would be good for ever.
    requiredClaims: ['exp'],
    ...(issuer.audience && { audience: issuer.audience }),
  }
  const published = keys.kind === 'remote' ? remoteKeys(keys.url, keys.timing) : null
  const known = keys.kind === 'secret' ? keys.secret : keys.kind === 'public' ? keys.key : null

  return async (token) => {
    if (token.length > issuer.maxTokenBytes) throw refuse(name, 'The token is too long.')
    const checks = { ...options, currentDate: now() }
    const payload = await (published ? verifyWith(published) : jwtVerify(token, known!, checks))
      .then((result) => result.payload)
      .catch((thrown: unknown) => {
        throw toUploadError(thrown, name)
      })
    return readClaims(payload, issuer)

    async function verifyWith(find: JWTVerifyGetKey) {
      try {
        return await jwtVerify(token, find, checks)
      } catch (thrown) {
        if (!(thrown instanceof errors.JWKSMultipleMatchingKeys)) throw thrown
        // The token does not say which key it was signed with: any of those it can have been.
        for await (const key of thrown) {
          const result = await jwtVerify(token, key, checks).catch(ignoreSignature)
          if (result) return result
        }
        throw new errors.JWSSignatureVerificationFailed()
      }
    }
  }
}

function ignoreSignature(thrown: unknown): null {
  if (thrown instanceof errors.JWSSignatureVerificationFailed) return null
  throw thrown
}

/** Who the token says it comes from; not verified. `null` when it is not such a token. */
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

/** Nothing of a token's own words is repeated: they may be anybody's. */
function toUploadError(thrown: unknown, issuer: string): unknown {
  if (isUploadError(thrown)) return thrown
  if (thrown instanceof errors.JWTExpired) return refuse(issuer, 'The token has expired.')
  if (thrown instanceof errors.JWTClaimValidationFailed) {
    if (thrown.claim === 'nbf') return refuse(issuer, 'The token is not valid yet.')
    if (thrown.claim === 'aud') return refuse(issuer, 'The token was not made for this server.')
    return refuse(issuer, 'The token is not valid.', thrown.claim)
  }
  // A TypeError is a published key that is of no use, such as one that is too short.
  if (thrown instanceof errors.JOSEError) return refuse(issuer, 'The token is not valid.', thrown.code)
  return thrown instanceof TypeError ? refuse(issuer, 'The token is not valid.', 'ERR_KEY') : thrown
}

function refuse(issuer: string, message: string, reason?: string): UploadError {
  return new UploadError('UNAUTHENTICATED', message, { issuer, reason })
}
