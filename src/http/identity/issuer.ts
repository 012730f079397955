import type { KeyObject } from 'node:crypto'

/** The signature algorithms that are accepted. `none` is not one of them: a token without a signature proves nothing. */
export const sharedAlgorithms = ['HS256', 'HS384', 'HS512'] as const
export const publicAlgorithms = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
] as const
export type Algorithm = (typeof sharedAlgorithms)[number] | (typeof publicAlgorithms)[number]

/** The keys of an issuer: a shared secret, a public key that the operator copied, or a JWKS that is fetched from a URL. */
export type IssuerKeys =
  | { kind: 'secret'; secret: Uint8Array }
  | { kind: 'public'; key: KeyObject }
  | { kind: 'remote'; url: URL; timing: RemoteTiming }

/** Milliseconds. */
export interface RemoteTiming {
  /** Fetched keys are used for this long before they are fetched again. */
  maxAge: number
  /** Minimum time between two fetches, after a success or a failure. Tokens that name unknown keys cannot cause more. */
  cooldown: number
  /** While the issuer does not answer, its last keys are used for this long. */
  maxStale: number
}

/** The path of a claim: its name, or names joined by dots for a nested claim; an array if the names have dots themselves. */
export type ClaimPath = string | string[]

/** A trusted issuer of tokens and how its claims are read. The code that creates it ensures that `algorithms` fit `keys`. */
export interface Issuer {
  name: string
  /** Must equal the claim `iss` exactly. */
  issuer: string
  /** One of these must be in the claim `aud`; `null`: `aud` is not checked. */
  audience: string[] | null
  algorithms: Algorithm[]
  keys: IssuerKeys
  /** Accepted clock difference, in milliseconds. */
  clockTolerance: number
  /** Longer tokens are refused before they are verified. */
  maxTokenBytes: number
  claims: { user: ClaimPath; role: ClaimPath; tenant: ClaimPath | null; admin: ClaimPath | null }
  /** Maps values of the claim to roles of this server, first match wins; `null`: the value is the role. */
  roles: Record<string, string> | null
  /** The role of users whose claim has no known value; `null`: they are refused. */
  defaultRole: string | null
  /** Values of the admin claim, in addition to `true`, that make the user an admin. */
  adminValues: string[]
  /** Prefix of all users of this issuer, so that two issuers cannot name the same user. */
  userPrefix: string
  /** Prefixes of other issuers. A token of this issuer that names such a user is refused. */
  foreignPrefixes: string[]
  /** The tenant of users whose token has no tenant claim. */
  tenant: string | null
}

/** The algorithms that a public key supports; empty for a key that is too weak or of another kind. */
export function algorithmsFor(key: KeyObject): Algorithm[] {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key
  if (type === 'ed25519') return ['EdDSA', 'Ed25519']
  if (type === 'ec') return curves[details?.namedCurve ?? ''] ?? []
  if (type !== 'rsa' || (details?.modulusLength ?? 0) < 2048) return []
  return publicAlgorithms.filter((name) => name.startsWith('RS') || name.startsWith('PS'))
}

const curves: Record<string, Algorithm[]> = { prime256v1: ['ES256'], secp384r1: ['ES384'], secp521r1: ['ES512'] }
