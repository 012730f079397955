import { signal } from '@preact/signals'
import { createAdminApi } from '../../client/admin-api.ts'
import { createApi, type Me } from '../../client/api.ts'
import { type Failure, Refusal } from '../../client/refusal.ts'
import { server } from '../upload/server.ts'
import { keep, tabShelf } from '../upload/shelves.ts'
import { explain } from './words.ts'

// Who this page is. The token lives in the tab and goes with each request as a header, so no other page can use it.

/** `entering` until the first answer; `out`: a token is needed. */
export type Presence = 'entering' | 'out' | 'in'

/** What an admin route would answer. */
const notAdmin: Failure = { code: 'FORBIDDEN', status: 403, message: null, method: 'GET', retryAfterMs: null }

const tokenKey = 'landfall:admin-token'
const token = signal<string | null>(null)

export const presence = signal<Presence>('entering')
export const me = signal<Me | null>(null)
/** Why there is no token that works, in words. */
export const problem = signal<string | null>(null)

/** Whether the administrator is one of a tenant, who may see nothing that is about all of them. */
export function isOfTenant(): boolean {
  return (me.value?.tenant ?? null) !== null
}

const api = createApi(server, () => token.peek())
/** What administrators may ask. */
export const admin = createAdminApi(server, () => token.peek())

/** The token that counts now; `null` while there is none that works. */
export function currentToken(): string | null {
  return presence.peek() === 'in' ? token.peek() : null
}

/** Signs in with the token that was kept, if there is one. */
export async function enter(): Promise<void> {
  const kept = tabShelf.getItem(tokenKey)
  if (kept === null || !(await tryToken(kept))) presence.value = 'out'
}

/** Whether there is a token that may work another time. */
export function hasKept(): boolean {
  return tabShelf.getItem(tokenKey) !== null
}

/** Signs in with a pasted token. False, and a `problem`, when it does not work. */
export async function usePasted(pasted: string): Promise<boolean> {
  const bare = pasted.trim().replace(/^Bearer\s+/i, '')
  const isIn = await tryToken(bare)
  if (isIn) keep(tabShelf, tokenKey, bare)
  return isIn
}

/** Forgets the token. */
export function leave(): void {
  tabShelf.removeItem(tokenKey)
  token.value = null
  me.value = null
  problem.value = null
  presence.value = 'out'
}

/** The server refused the token in the middle of something: what is on the screen goes, and the door says why. */
export function refused(thrown: Refusal): void {
  if (presence.peek() !== 'in') return
  presence.value = 'out'
  problem.value = explain(thrown.failure)
}

async function tryToken(candidate: string): Promise<boolean> {
  const previous = token.peek()
  token.value = candidate
  try {
    const who = await api.me()
    if (!who.admin) throw new Refusal(notAdmin)
    me.value = who
  } catch (thrown) {
    token.value = previous
    problem.value = thrown instanceof Refusal ? explain(thrown.failure) : String(thrown)
    return false
  }
  presence.value = 'in'
  problem.value = null
  return true
}
