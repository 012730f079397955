import { UploadError } from '../../core/errors/error.ts'
import { type Actor, userOf } from '../../core/upload.ts'
import type { ClaimPath, Issuer } from './issuer.ts'

/** What something outside says of who asks. Nothing of it is believed to be of any form. */
export interface Claims {
  user: unknown
  role: unknown
  tenant?: unknown
  isAdmin?: unknown
}

/**
 * The actor that claims describe, or `null` when they describe none. Users come from outside: what names them must fit a
 * column and a log line. Which roles exist is the rules' business.
 */
export function toActor({ user, role, tenant, isAdmin }: Claims, { mayBeKey = false } = {}): Actor | null {
  const isOutside = isSilent(tenant)
  if (!(isUser(user) || (mayBeKey && isName(user))) || !isRole(role) || !(isOutside || isName(tenant))) return null
  return userOf(user, role, { tenant: isOutside ? null : tenant, isAdmin: isAdmin === true })
}

/** Whether a claim says nothing. */
function isSilent(claim: unknown): claim is undefined | null | '' {
  return claim === undefined || claim === null || claim === ''
}

/** Stands before the id of an API key that speaks for no user: no token may name such a one. */
export const keyPrefix = 'key:'

/** Whether `text` can name a user or a tenant. */
export function isName(text: unknown): text is string {
  return typeof text === 'string' && /^[^\p{Cc}]{1,128}$/u.test(text) && text.isWellFormed()
}

/** Whether `text` can name a user who is no key. */
export function isUser(text: unknown): text is string {
  return isName(text) && !text.startsWith(keyPrefix)
}

/** Whether `text` can name a role. */
export function isRole(text: unknown): text is string {
  return typeof text === 'string' && /^[\w-]{1,64}$/.test(text)
}

/**
 * The actor of a verified token, read as its issuer's settings say.
 * @throws UploadError UNAUTHENTICATED when it names no user, ROLE_NOT_ALLOWED when it gives the user no role here
 */
export function readClaims(payload: object, issuer: Issuer): Actor {
  const { claims, userPrefix, foreignPrefixes } = issuer
  const said = nameIn(claimAt(payload, claims.user))
  const user = isName(said) ? userPrefix + said : null
  const tenant = nameIn(claims.tenant && claimAt(payload, claims.tenant))
  const role = roleOf(claimAt(payload, claims.role), issuer)
  if (role === null)
    throw new UploadError('ROLE_NOT_ALLOWED', 'Your account has no role here.', { issuer: issuer.name })
  const actor = toActor({
    user: user !== null && foreignPrefixes.some((prefix) => user.startsWith(prefix)) ? null : user,
    role,
    tenant: isSilent(tenant) ? issuer.tenant : tenant,
    isAdmin: claims.admin !== null && isAdmin(claimAt(payload, claims.admin), issuer.adminValues),
  })
  if (!actor) throw new UploadError('UNAUTHENTICATED', 'The token does not say who you are.', { issuer: issuer.name })
  return actor
}

/** The value at `path`; a name that has dots itself (`https://x/role`) goes before the way through the dots. */
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

/** Some number their users. */
function nameIn(value: unknown): unknown {
  return Number.isSafeInteger(value) ? String(value) : value
}

/** A list of roles may come as a list, or as words with spaces between them (RFC 8693, `scope`). */
function roleOf(value: unknown, { roles, defaultRole }: Issuer): string | null {
  const said = wordsOf(value)
  if (roles === null) return (said.length === 1 ? said[0] : null) ?? defaultRole
  const known = Object.keys(roles).find((name) => value === name || said.includes(name))
  return known === undefined ? defaultRole : roles[known]!
}

function isAdmin(value: unknown, adminValues: string[]): boolean {
  return value === true || wordsOf(value).some((word) => adminValues.includes(word))
}

function wordsOf(value: unknown): string[] {
  if (typeof value === 'string') return value.split(' ').filter((word) => word !== '')
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : []
}
