import { signal } from '@preact/signals'
import { createAdminApi } from '../../client/admin-api.ts'
import { createApi, type Me } from '../../client/api.ts'
import { type Failure, RequestError } from '../../client/request-error.ts'
import { server } from '../upload/server.ts'
import { store, tabStorage } from '../upload/storage.ts'
import { explain } from './messages.ts'

// Who this page is. The token lives in the tab and goes with each request as a header, so no other page can use it.

/** `entering` until the first answer; `out`: a token is needed. */
export type SignInState = 'entering' | 'out' | 'in'

/** What an admin route would answer. */
const notAdmin: Failure = { code: 'FORBIDDEN', status: 403, message: null, method: 'GET', retryAfterMs: null }

const tokenKey = 'landfall:admin-token'
const token = signal<string | null>(null)

export const signInState = signal<SignInState>('entering')
export const me = signal<Me | null>(null)
/** Why there is no token that works, in words. */
export const signInError = signal<string | null>(null)

/** Whether the administrator is one of a tenant, who may see nothing that is about all of them. */
export function isOfTenant(): boolean {
  return (me.value?.tenant ?? null) !== null
}

const api = createApi(server, () => token.peek())
/** What administrators may ask. */
export const admin = createAdminApi(server, () => token.peek())

/** The token that counts now; `null` while there is none that works. */
export function currentToken(): string | null {
  return signInState.peek() === 'in' ? token.peek() : null
}

/** Signs in with the token that was kept, if there is one. */
export async function restoreToken(): Promise<void> {
  const kept = tabStorage.getItem(tokenKey)
  if (kept === null || !(await tryToken(kept))) signInState.value = 'out'
}

/** Whether there is a token that may work another time. */
export function hasStoredToken(): boolean {
  return tabStorage.getItem(tokenKey) !== null
}

/** Signs in with a pasted token. False, and a `problem`, when it does not work. */
export async function signInWith(pasted: string): Promise<boolean> {
  const bare = pasted.trim().replace(/^Bearer\s+/i, '')
  const isIn = await tryToken(bare)
  if (isIn) store(tabStorage, tokenKey, bare)
  return isIn
}

/** Forgets the token. */
export function signOut(): void {
  tabStorage.removeItem(tokenKey)
  token.value = null
  me.value = null
  signInError.value = null
  signInState.value = 'out'
}

/** The server refused the token in the middle of something: what is on the screen goes, and the door says why. */
export function onTokenRefused(thrown: RequestError): void {
  if (signInState.peek() !== 'in') return
  signInState.value = 'out'
  signInError.value = explain(thrown.failure)
}

async function tryToken(candidate: string): Promise<boolean> {
  const previous = token.peek()
  token.value = candidate
  try {
    const who = await api.me()
    if (!who.admin) throw new RequestError(notAdmin)
    me.value = who
  } catch (thrown) {
    token.value = previous
    signInError.value = thrown instanceof RequestError ? explain(thrown.failure) : String(thrown)
    return false
  }
  signInState.value = 'in'
  signInError.value = null
  return true
}
