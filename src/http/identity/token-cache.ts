/*
 * Verifying a signature is the most expensive part of a small request, and a client sends the same token with each request. So a token
 * that was accepted is cached for a few seconds, and never beyond its `exp`. Refused tokens are not cached, so a client cannot fill the
 * memory with made-up tokens.
 */
import { decodeJwt } from 'jose'
import type { Actor } from '../../core/upload.ts'
import type { TokenCheck } from './auth.ts'

/** Milliseconds for which an accepted token is cached. A key that an issuer has withdrawn is noticed this much later. */
export const cacheMs = 10_000
const cacheMaxEntries = 5000
const maxCachedToken = 2048

/** Combines `checks` of JWTs into one that runs them in turn and caches the actor of an accepted token. */
export function cacheChecks(checks: TokenCheck[], clock: () => Date = () => new Date()): TokenCheck {
  const cached = new Map<string, { actor: Actor; until: number }>()

  async function runChecks(token: string): Promise<Actor | null> {
    for (const check of checks) {
      const actor = await check(token)
      if (actor) return actor
    }
    return null
  }

  return async (token) => {
    const now = clock().getTime()
    const found = cached.get(token)
    if (found && now < found.until) return found.actor
    cached.delete(token)
    const actor = await runChecks(token)
    if (actor === null || token.length > maxCachedToken) return actor
    const { exp } = decodeJwt(token)
    const until = Math.min(now + cacheMs, exp === undefined ? Number.POSITIVE_INFINITY : exp * 1000)
    if (now < until) cached.set(token, { actor, until })
    if (cached.size > cacheMaxEntries) cached.delete(cached.keys().next().value!)
    return actor
  }
}
