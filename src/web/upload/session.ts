import { computed, signal } from '@preact/signals'
import { createApi, type Me } from '../../client/api.ts'
import { RequestError } from '../../client/request-error.ts'
import { explain } from './messages.ts'
import { server } from './server.ts'
import { deviceStorage, store, tabStorage } from './storage.ts'

// Who this page is. A token comes from the person (kept for the tab, or on this device if they wish), or, from a server in
// development, for the one-time code in the address of the link that the server prints.

/** `entering` until the first answer; `out`: a token is needed. */
export type SignInState = 'entering' | 'out' | 'in'

const token = signal<string | null>(null)
export const signInState = signal<SignInState>('entering')
export const me = signal<Me | null>(null)
/** Why there is no token that works, in words. */
export const signInError = signal<string | null>(null)
/** A user was signed in, and the token stopped working. */
export const hasExpired = computed(() => signInState.value === 'out' && me.value !== null)

export const api = createApi(server, () => token.peek())

/** The token that counts now; `null` while there is none that works. */
export function currentToken(): string | null {
  return signInState.peek() === 'in' ? token.peek() : null
}

const tokenKey = 'landfall:token'
let arrived = () => {}
/** Settled when it is first known who this is, or that a token is needed. */
export const signedIn = new Promise<void>((resolve) => {
  arrived = resolve
})
const signInListeners = new Set<() => void>()
const signOutListeners = new Set<() => void>()

/** Calls `listener` whenever a token starts to count. */
export function onSignIn(listener: () => void): void {
  signInListeners.add(listener)
}

/** Calls `listener` when a user has signed out, and before another one is in: what belongs to the user must go. */
export function onSignOut(listener: () => void): void {
  signOutListeners.add(listener)
}

/** One word for who is signed in; also after the token has expired. Users of two tenants never share one. */
export function owner(): string {
  const who = me.peek()
  if (who === null) return ''
  return who.tenant === null ? who.user : JSON.stringify([who.tenant, who.user])
}

/** Signs in: with the code in the address, else with the token that was kept. */
export async function restoreToken(): Promise<void> {
  const code = takeCode()
  const kept = tabStorage.getItem(tokenKey) ?? deviceStorage.getItem(tokenKey)
  const isIn = (code !== null && (await tryCode(code))) || (kept !== null && (await tryStored(kept)))
  if (!isIn) signInState.value = 'out'
  arrived()
}

/** A sign-in link was opened in a tab that has the page already: only what stands behind the `#` changes then. */
export async function signInByLink(): Promise<void> {
  const code = takeCode()
  if (code !== null) await tryCode(code)
}

/** Signs in with a pasted token. @param isKept also after the browser was closed */
export async function signInWith(pasted: string, isKept: boolean): Promise<boolean> {
  const bare = pasted.trim().replace(/^Bearer\s+/i, '')
  if (!(await tryToken(bare))) return false
  forgetStored()
  store(isKept ? deviceStorage : tabStorage, tokenKey, bare)
  return true
}

/** Signs out: forgets the token and who it was. */
export function signOut(): void {
  forgetStored()
  token.value = null
  signInState.value = 'out'
  signInError.value = null
  me.value = null
  for (const listener of signOutListeners) listener()
}

/** The server refused the token in the middle of something. What was begun waits for another one of the same user. */
export function renew(): void {
  if (signInState.peek() !== 'in') return
  signInState.value = 'out'
  signInError.value = null
}

/** The one-time code of a sign-in link, which is taken out of the address at once: it is nothing to keep or to send on. */
function takeCode(): string | null {
  const code = new URLSearchParams(location.hash.slice(1)).get('code')
  if (code !== null) history.replaceState(null, '', location.pathname + location.search)
  return code
}

async function tryCode(code: string): Promise<boolean> {
  try {
    const given = await api.signIn(code)
    if (!(await tryToken(given.token))) return false
    forgetStored()
    store(tabStorage, tokenKey, given.token)
    return true
  } catch (thrown) {
    signInError.value = thrown instanceof RequestError ? explainCode(thrown) : String(thrown)
    return false
  }
}

function explainCode({ failure }: RequestError): string {
  if (failure.status === 404) return 'This server has no sign-in links: it does not run in development. Paste a token.'
  if (failure.code === 'UNAUTHENTICATED' || failure.status === 410)
    return 'This sign-in link was used already or has expired. `npx landfall sign-in-link` prints another one; or paste a token.'
  return explain(failure)
}

/** What was kept may have expired meanwhile, which is nothing to complain about after a link that did not work either. */
async function tryStored(kept: string): Promise<boolean> {
  const before = signInError.peek()
  const isIn = await tryToken(kept)
  if (!isIn && before !== null) signInError.value = before
  return isIn
}

async function tryToken(candidate: string): Promise<boolean> {
  let who: Me
  try {
    // Asked beside the token that counts, which others use meanwhile.
    who = await createApi(server, () => candidate).me()
  } catch (thrown) {
    signInError.value = thrown instanceof RequestError ? explain(thrown.failure) : String(thrown)
    return false
  }
  const isAnother = me.peek() !== null && (me.peek()?.user !== who.user || me.peek()?.tenant !== who.tenant)
  if (isAnother) {
    // Before the new token counts: nothing of the one before may go on with it.
    signInState.value = 'entering'
    token.value = null
    me.value = null
    for (const listener of signOutListeners) listener()
  }
  me.value = who
  token.value = candidate
  signInState.value = 'in'
  signInError.value = null
  for (const listener of signInListeners) listener()
  return true
}

function forgetStored(): void {
  tabStorage.removeItem(tokenKey)
  deviceStorage.removeItem(tokenKey)
}
