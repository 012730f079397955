import { signal } from '@preact/signals'
import { createAdminApi } from '../../client/admin-api.ts'
import { createApi } from '../../client/api.ts'
import { type Failure, RequestError } from '../../client/request-error.ts'
import type { Me } from '../../contract/me.ts'
import { server } from '../ui/server.ts'
import { store, tabStorage } from '../ui/storage.ts'
import { explain } from './messages.ts'

// The login of the admin page. The token is stored for the tab and sent as a header with each request, so no other page can use it.

/** `loading` until the stored token has been checked; `signed-out`: a token is needed. */
export type SignInState = 'loading' | 'signed-out' | 'signed-in'

/** The failure that an admin route would return. */
const notAdmin: Failure = { code: 'FORBIDDEN', status: 403, message: null, method: 'GET', retryAfterMs: null }

const tokenKey = 'landfall:admin-token'
const token = signal<string | null>(null)

export const signInState = signal<SignInState>('loading')
export const me = signal<Me | null>(null)
/** Why sign-in failed. */
export const signInError = signal<string | null>(null)

/** Whether the admin belongs to a tenant and may see only data of that tenant. */
export function isOfTenant(): boolean {
  return (me.value?.tenant ?? null) !== null
}

const api = createApi(server, () => token.peek())
/** The admin API with the current token. */
export const admin = createAdminApi(server, () => token.peek())

/** The current token; `null` while signed out. */
export function currentToken(): string | null {
  return signInState.peek() === 'signed-in' ? token.peek() : null
}

/** Signs in with the stored token, if there is one. */
export async function restoreToken(): Promise<void> {
  const stored = tabStorage.getItem(tokenKey)
  if (stored === null || !(await tryToken(stored))) signInState.value = 'signed-out'
}

/** Whether a token is stored, with which another attempt may succeed. */
export function hasStoredToken(): boolean {
  return tabStorage.getItem(tokenKey) !== null
}

/** Signs in with a pasted token. Returns false and sets `signInError` when that fails. */
export async function signInWith(pasted: string): Promise<boolean> {
  const bare = pasted.trim().replace(/^Bearer\s+/i, '')
  const isSignedIn = await tryToken(bare)
  if (isSignedIn) store(tabStorage, tokenKey, bare)
  return isSignedIn
}

/** Signs out and removes the token. */
export function signOut(): void {
  tabStorage.removeItem(tokenKey)
  token.value = null
  me.value = null
  signInError.value = null
  signInState.value = 'signed-out'
}

/** Shows the sign-in form with the reason, because the server has refused the token. */
export function onTokenRefused(thrown: RequestError): void {
  if (signInState.peek() !== 'signed-in') return
  signInState.value = 'signed-out'
  signInError.value = explain(thrown.failure)
}

async function tryToken(candidate: string): Promise<boolean> {
  const previous = token.peek()
  token.value = candidate
  try {
    const user = await api.me()
    if (!user.admin) throw new RequestError(notAdmin)
    me.value = user
  } catch (thrown) {
    token.value = previous
    signInError.value = thrown instanceof RequestError ? explain(thrown.failure) : String(thrown)
    return false
  }
  signInState.value = 'signed-in'
  signInError.value = null
  return true
}
