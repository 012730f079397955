import type { KeyObject } from 'node:crypto'

/** What tokens may be signed with: `none` and what else there is are not among it. */
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

/** Where the keys of an issuer come from: both sides know a secret, the operator copied the public key, or it is fetched. */
export type IssuerKeys =
  | { kind: 'secret'; secret: Uint8Array }
  | { kind: 'public'; key: KeyObject }
  | { kind: 'remote'; url: URL; timing: RemoteTiming }

/** Milliseconds. */
export interface RemoteTiming {
  /** Fetched keys are used so long before they are fetched again. */
  maxAge: number
  /** So long nothing is fetched anew, whatever unknown keys tokens name, and whether the last time went well or not. */
  cooldown: number
  /** While the issuer does not answer, its last keys hold for so long. */
  maxStale: number
}

/** A claim: a name as it stands, or names joined by dots for one inside of others; a list where names have dots themselves. */
export type ClaimPath = string | string[]

/** Somebody whose tokens are believed, and how they are read. Who makes one sees that keys and algorithms fit each other. */
export interface Issuer {
  name: string
  /** The claim `iss`, to the letter. */
  issuer: string
  /** One of them must be in the claim `aud`; `null`: the issuer does not say whom its tokens are for. */
  audience: string[] | null
  algorithms: Algorithm[]
  keys: IssuerKeys
  /** Milliseconds that clocks may differ. */
  clockTolerance: number
  /** Longer ones are refused before they are verified. */
  maxTokenBytes: number
  claims: { user: ClaimPath; role: ClaimPath; tenant: ClaimPath | null; admin: ClaimPath | null }
  /** What the claim says → a role here, the first that fits; `null`: the claim is the role. */
  roles: Record<string, string> | null
  /** For those whose claim says nothing that is known; `null`: they may not come in. */
  defaultRole: string | null
  /** What makes an admin when it is in the claim for it, beside `true`. */
  adminValues: string[]
  /** Stands before every user, so that two issuers cannot name the same one. */
  userPrefix: string
  /** Users that begin so are another issuer's: this one cannot name them. */
  foreignPrefixes: string[]
  /** The tenant of all its users, where no claim says it. */
  tenant: string | null
}

/** The algorithms that a public key can be used with; none for a key that is too weak or of another kind. */
export function algorithmsFor(key: KeyObject): Algorithm[] {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key
  if (type === 'ed25519') return ['EdDSA', 'Ed25519']
  if (type === 'ec') return curves[details?.namedCurve ?? ''] ?? []
  if (type !== 'rsa' || (details?.modulusLength ?? 0) < 2048) return []
  return publicAlgorithms.filter((name) => name.startsWith('RS') || name.startsWith('PS'))
}

const curves: Record<string, Algorithm[]> = { prime256v1: ['ES256'], secp384r1: ['ES384'], secp521r1: ['ES512'] }
