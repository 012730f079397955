import { isName, isRole, isUser } from '../../contract/names.ts'
import { errors } from '../../core/errors/errors.ts'
import { type Actor, userOf } from '../../core/upload.ts'
import type { ClaimPath, Issuer } from './issuer.ts'

/** Claims of an outside system about a user. None is trusted to have any type or form. */
export interface Claims {
  user: unknown
  role: unknown
  tenant?: unknown
  isAdmin?: unknown
}

/**
 * The actor that claims describe, or `null` if a claim is not valid. Names come from outside, so they must fit a database column and a log
 * line. Whether the role exists is up to the policies.
 */
export function toActor({ user, role, tenant, isAdmin }: Claims, { mayBeKey = false } = {}): Actor | null {
  const hasNoTenant = isEmpty(tenant)
  if (!(isUser(user) || (mayBeKey && isName(user))) || !isRole(role) || !(hasNoTenant || isName(tenant))) return null
  return userOf(user, role, { tenant: hasNoTenant ? null : tenant, isAdmin: isAdmin === true })
}

/** Whether a claim is missing or empty. */
function isEmpty(claim: unknown): claim is undefined | null | '' {
  return claim === undefined || claim === null || claim === ''
}

/**
 * The actor of a verified token, read by the settings of its issuer.
 * @throws UploadError UNAUTHENTICATED if the token names no valid user, ROLE_NOT_ALLOWED if the user has no role on this server
 */
export function readClaims(payload: object, issuer: Issuer): Actor {
  const { claims, userPrefix, foreignPrefixes } = issuer
  const name = toName(claimAt(payload, claims.user))
  const user = isName(name) ? userPrefix + name : null
  const tenant = toName(claims.tenant && claimAt(payload, claims.tenant))
  const role = roleOf(claimAt(payload, claims.role), issuer)
  if (role === null) throw errors.noRole({ issuer: issuer.name })
  const actor = toActor({
    user: user !== null && foreignPrefixes.some((prefix) => user.startsWith(prefix)) ? null : user,
    role,
    tenant: isEmpty(tenant) ? issuer.tenant : tenant,
    isAdmin: claims.admin !== null && isAdmin(claimAt(payload, claims.admin), issuer.adminValues),
  })
  if (!actor) throw errors.tokenNamesNoUser({ issuer: issuer.name })
  return actor
}

/** The value at `path`. A claim whose name has dots itself (`https://x/role`) takes precedence over nested claims. */
function claimAt(payload: object, path: ClaimPath): unknown {
  const whole = typeof path === 'string' && Object.hasOwn(payload, path)
  const names = typeof path === 'string' ? (whole ? [path] : path.split('.')) : path
  let at: unknown = payload
  for (const name of names) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, name)) return undefined
    at = (at as Record<string, unknown>)[name]
  }
  return at
}

/** Integers become text, because some issuers number their users. */
function toName(value: unknown): unknown {
  return Number.isSafeInteger(value) ? String(value) : value
}

/** The role of the user. Issuers send several roles as an array, or as words with spaces between them (RFC 8693, `scope`). */
function roleOf(value: unknown, { roles, defaultRole }: Issuer): string | null {
  const names = wordsOf(value)
  if (roles === null) return (names.length === 1 ? names[0] : null) ?? defaultRole
  const known = Object.keys(roles).find((name) => value === name || names.includes(name))
  return known === undefined ? defaultRole : roles[known]!
}

function isAdmin(value: unknown, adminValues: string[]): boolean {
  return value === true || wordsOf(value).some((word) => adminValues.includes(word))
}

function wordsOf(value: unknown): string[] {
  if (typeof value === 'string') return value.split(' ').filter((word) => word !== '')
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : []
}
