/*
 * A signature is the dearest thing in a small request, and a client sends the same token with every one of them. So a token that
 * was found good is believed for a few seconds more, and never beyond its own end. Refusals are not remembered: nobody can
 * fill the memory with tokens that they made up.
 */
import { decodeJwt } from 'jose'
import type { Actor } from '../../core/upload.ts'
import type { TokenCheck } from './auth.ts'

/** Milliseconds for which a token is believed again. So much later it is noticed that an issuer has withdrawn a key. */
export const cacheMs = 10_000
const cacheMaxEntries = 5000
const maxCachedToken = 2048

/** `checks` of JWTs, asked in turn, as one that asks them only now and then about the same token. */
export function cacheChecks(checks: TokenCheck[], clock: () => Date = () => new Date()): TokenCheck {
  const known = new Map<string, { actor: Actor; until: number }>()

  async function ask(token: string): Promise<Actor | null> {
    for (const check of checks) {
      const actor = await check(token)
      if (actor) return actor
    }
    return null
  }

  return async (token) => {
    const now = clock().getTime()
    const found = known.get(token)
    if (found && now < found.until) return found.actor
    known.delete(token)
    const actor = await ask(token)
    if (actor === null || token.length > maxCachedToken) return actor
    const { exp } = decodeJwt(token)
    const until = Math.min(now + cacheMs, exp === undefined ? Number.POSITIVE_INFINITY : exp * 1000)
    if (now < until) known.set(token, { actor, until })
    if (known.size > cacheMaxEntries) known.delete(known.keys().next().value!)
    return actor
  }
}
