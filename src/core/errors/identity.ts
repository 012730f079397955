import { defineError } from './define.ts'

/** The configured name of the issuer. No text of a token may be in the facts or the sentence: any client can write it. */
type IssuerFacts = { issuer: string }

/** Errors of a token, its claims, the keys of its issuer, and sign-in. */
export const identityErrors = {
  tokenMissing: defineError('UNAUTHENTICATED', 'This request needs a token: Authorization: Bearer …'),
  tokenInvalid: defineError('UNAUTHENTICATED', 'The token is not valid.'),
  tokenExpired: defineError('UNAUTHENTICATED', 'The token has expired.'),
  tokenNotYetValid: defineError('UNAUTHENTICATED', 'The token is not valid yet.'),
  tokenTooLong: defineError('UNAUTHENTICATED', (_: IssuerFacts) => 'The token is too long.'),
  tokenForOtherAudience: defineError('UNAUTHENTICATED', 'The token was not issued for this server (aud).'),
  tokenOfOtherIssuer: defineError('UNAUTHENTICATED', 'The token is of another issuer (iss).'),
  tokenClaimMissing: defineError(
    'UNAUTHENTICATED',
    ({ claim }: { claim: string }) => `The token has no ${claim} claim.`,
  ),
  tokenClaimInvalid: defineError(
    'UNAUTHENTICATED',
    ({ claim }: { claim: string }) => `The ${claim} claim of the token is not valid.`,
  ),
  tokenIssuedInFuture: defineError('UNAUTHENTICATED', 'The token was issued in the future (iat).'),
  tokenEndsBeforeIssue: defineError('UNAUTHENTICATED', 'The token expires before it was issued.'),
  tokenLifetimeTooLong: defineError(
    'UNAUTHENTICATED',
    'The token is valid for longer than this server allows (JWT_MAX_LIFETIME).',
  ),
  tokenNamesNoUser: defineError('UNAUTHENTICATED', (_: IssuerFacts) => 'The token does not say who you are.'),
  noRole: defineError('ROLE_NOT_ALLOWED', (_: IssuerFacts) => 'Your account has no role on this server.'),
  issuerUnavailable: defineError(
    'IDENTITY_UNAVAILABLE',
    'The identity provider does not answer. Please try again in a moment.',
  ),
  globalAdminsOnly: defineError(
    'FORBIDDEN',
    'This concerns all tenants. Only administrators without a tenant may do it.',
  ),
  signInTooFast: defineError(
    'RATE_LIMITED',
    (_: { retryAfter: number }) => 'There were too many sign-in attempts. Please try again in a minute.',
  ),
  signInCodeInvalid: defineError(
    'UNAUTHENTICATED',
    'This sign-in link was used already or has expired. `npx landfall sign-in-link` prints another one.',
  ),
}
