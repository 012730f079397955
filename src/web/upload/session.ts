import { computed, signal } from '@preact/signals'
import { createApi } from '../../client/api.ts'
import { RequestError } from '../../client/request-error.ts'
import type { Me } from '../../contract/me.ts'
import { explain } from '../ui/messages.ts'
import { server } from '../ui/server.ts'
import { deviceStorage, store, tabStorage } from '../ui/storage.ts'

// The login of this page. The user pastes a token, which is stored for the tab or, if the user wants, on this device. In development
// mode the server also prints a sign-in link; its one-time code is exchanged for a token.

/** `loading` until the stored token has been checked; `signed-out`: a token is needed. */
export type SignInState = 'loading' | 'signed-out' | 'signed-in'

const token = signal<string | null>(null)
export const signInState = signal<SignInState>('loading')
export const me = signal<Me | null>(null)
/** Why sign-in failed. */
export const signInError = signal<string | null>(null)
/** A user was signed in, and the server has refused the token since. */
export const hasExpired = computed(() => signInState.value === 'signed-out' && me.value !== null)

export const api = createApi(server, () => token.peek())

/** The current token; `null` while signed out. */
export function currentToken(): string | null {
  return signInState.peek() === 'signed-in' ? token.peek() : null
}

const tokenKey = 'landfall:token'
let resolveChecked = () => {}
/** Resolves when the stored token or the sign-in link has been checked, accepted or not. */
export const signInChecked = new Promise<void>((resolve) => {
  resolveChecked = resolve
})
const signInListeners = new Set<() => void>()
const signOutListeners = new Set<() => void>()

/** Calls `listener` after every sign-in. */
export function onSignIn(listener: () => void): void {
  signInListeners.add(listener)
}

/** Calls `listener` after a sign-out and before another user is signed in. Data of the user must be removed. */
export function onSignOut(listener: () => void): void {
  signOutListeners.add(listener)
}

/** A key for the signed-in user, unique across tenants. Stays the same after the token has expired. */
export function owner(): string {
  const user = me.peek()
  if (user === null) return ''
  return user.tenant === null ? user.user : JSON.stringify([user.tenant, user.user])
}

/** Signs in with the code in the URL, else with the stored token. */
export async function restoreToken(): Promise<void> {
  const code = takeCode()
  const stored = tabStorage.getItem(tokenKey) ?? deviceStorage.getItem(tokenKey)
  const isSignedIn = (code !== null && (await tryCode(code))) || (stored !== null && (await tryStored(stored)))
  if (!isSignedIn) signInState.value = 'signed-out'
  resolveChecked()
}

/** Handles a sign-in link that was opened in a tab with this page: only the fragment of the URL changes then. */
export async function signInByLink(): Promise<void> {
  const code = takeCode()
  if (code !== null) await tryCode(code)
}

/** Signs in with a pasted token. @param isPersistent store the token on this device, not only for the tab */
export async function signInWith(pasted: string, isPersistent: boolean): Promise<boolean> {
  const bare = pasted.trim().replace(/^Bearer\s+/i, '')
  if (!(await tryToken(bare))) return false
  forgetStored()
  store(isPersistent ? deviceStorage : tabStorage, tokenKey, bare)
  return true
}

/** Signs out: removes the token and the data of the user. */
export function signOut(): void {
  forgetStored()
  token.value = null
  signInState.value = 'signed-out'
  signInError.value = null
  me.value = null
  for (const listener of signOutListeners) listener()
}

/** The server has refused the token. Open transfers wait until the same user signs in again. */
export function requireSignIn(): void {
  if (signInState.peek() !== 'signed-in') return
  signInState.value = 'signed-out'
  signInError.value = null
}

/** Returns the one-time code of a sign-in link and removes it from the URL, so that it is not bookmarked or shared. */
function takeCode(): string | null {
  const code = new URLSearchParams(location.hash.slice(1)).get('code')
  if (code !== null) history.replaceState(null, '', location.pathname + location.search)
  return code
}

async function tryCode(code: string): Promise<boolean> {
  try {
    const { token: newToken } = await api.signIn(code)
    if (!(await tryToken(newToken))) return false
    forgetStored()
    store(tabStorage, tokenKey, newToken)
    return true
  } catch (thrown) {
    signInError.value = thrown instanceof RequestError ? explainCode(thrown) : String(thrown)
    return false
  }
}

function explainCode({ failure }: RequestError): string {
  if (failure.status === 404)
    return 'This server has no sign-in links because it does not run in development mode. Paste a token.'
  if (failure.code === 'UNAUTHENTICATED' || failure.status === 410)
    return 'This sign-in link was used already or has expired. Run `npx landfall sign-in-link` to print another one, or paste a token.'
  return explain(failure)
}

/** An expired stored token is expected; the error of a sign-in link is more useful, so it is kept. */
async function tryStored(stored: string): Promise<boolean> {
  const before = signInError.peek()
  const isSignedIn = await tryToken(stored)
  if (!isSignedIn && before !== null) signInError.value = before
  return isSignedIn
}

async function tryToken(candidate: string): Promise<boolean> {
  let user: Me
  try {
    // A separate client: other requests use the current token meanwhile.
    user = await createApi(server, () => candidate).me()
  } catch (thrown) {
    signInError.value = thrown instanceof RequestError ? explain(thrown.failure) : String(thrown)
    return false
  }
  const isAnotherUser = me.peek() !== null && (me.peek()?.user !== user.user || me.peek()?.tenant !== user.tenant)
  if (isAnotherUser) {
    // Before the new token is set: transfers of the previous user must not send it.
    signInState.value = 'loading'
    token.value = null
    me.value = null
    for (const listener of signOutListeners) listener()
  }
  me.value = user
  token.value = candidate
  signInState.value = 'signed-in'
  signInError.value = null
  for (const listener of signInListeners) listener()
  return true
}

function forgetStored(): void {
  tabStorage.removeItem(tokenKey)
  deviceStorage.removeItem(tokenKey)
}
