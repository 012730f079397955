import { type Actor, userOf } from '../../core/upload.ts'

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
export function toActor({ user, role, tenant, isAdmin }: Claims): Actor | null {
  const isOutside = tenant === undefined || tenant === null || tenant === ''
  if (!isName(user) || user.startsWith(keyPrefix) || !isRole(role) || !(isOutside || isName(tenant))) return null
  return userOf(user, role, { tenant: isOutside ? null : tenant, isAdmin: isAdmin === true })
}

/** Stands before the id of an API key that speaks for no user: no token may name such a one. */
export const keyPrefix = 'key:'

/** Whether `text` can name a user or a tenant. */
export function isName(text: unknown): text is string {
  return typeof text === 'string' && /^[^\p{Cc}]{1,128}$/u.test(text) && text.isWellFormed()
}

/** Whether `text` can name a role. */
export function isRole(text: unknown): text is string {
  return typeof text === 'string' && /^[\w-]{1,64}$/.test(text)
}
