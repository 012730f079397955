import { computed, signal } from '@preact/signals'
import { createApi, type Me } from '../../client/api.ts'
import { Refusal } from '../../client/refusal.ts'
import { server } from './server.ts'
import { deviceShelf, keep, tabShelf } from './shelves.ts'
import { explain } from './words.ts'

// Who this page is. A token comes from the person (kept for the tab, or on this device if they wish), or, from a server in
// development, for the one-time code in the address of the link that the server prints.

/** `entering` until the first answer; `out`: a token is needed. */
export type Presence = 'entering' | 'out' | 'in'

const token = signal<string | null>(null)
export const presence = signal<Presence>('entering')
export const me = signal<Me | null>(null)
/** Why there is no token that works, in words. */
export const problem = signal<string | null>(null)
/** A user was signed in, and the token stopped working. */
export const hasExpired = computed(() => presence.value === 'out' && me.value !== null)

export const api = createApi(server, () => token.peek())

/** The token that counts now; `null` while there is none that works. */
export function currentToken(): string | null {
  return presence.peek() === 'in' ? token.peek() : null
}

const tokenKey = 'landfall:token'
let arrived = () => {}
/** Settled when it is first known who this is, or that a token is needed. */
export const entered = new Promise<void>((resolve) => {
  arrived = resolve
})
const enterListeners = new Set<() => void>()
const leaveListeners = new Set<() => void>()

/** Calls `listener` whenever a token starts to count. */
export function onEnter(listener: () => void): void {
  enterListeners.add(listener)
}

/** Calls `listener` when a user has signed out, and before another one is in: what belongs to the user must go. */
export function onLeave(listener: () => void): void {
  leaveListeners.add(listener)
}

/** One word for who is signed in; also after the token has expired. Users of two tenants never share one. */
export function owner(): string {
  const who = me.peek()
  if (who === null) return ''
  return who.tenant === null ? who.user : JSON.stringify([who.tenant, who.user])
}

/** Signs in: with the code in the address, else with the token that was kept. */
export async function enter(): Promise<void> {
  const code = takeCode()
  const kept = tabShelf.getItem(tokenKey) ?? deviceShelf.getItem(tokenKey)
  const isIn = (code !== null && (await tryCode(code))) || (kept !== null && (await tryKept(kept)))
  if (!isIn) presence.value = 'out'
  arrived()
}

/** A sign-in link was opened in a tab that has the page already: only what stands behind the `#` changes then. */
export async function enterByLink(): Promise<void> {
  const code = takeCode()
  if (code !== null) await tryCode(code)
}

/** Signs in with a pasted token. @param isKept also after the browser was closed */
export async function usePasted(pasted: string, isKept: boolean): Promise<boolean> {
  const bare = pasted.trim().replace(/^Bearer\s+/i, '')
  if (!(await tryToken(bare))) return false
  dropKept()
  keep(isKept ? deviceShelf : tabShelf, tokenKey, bare)
  return true
}

/** Signs out: forgets the token and who it was. */
export function leave(): void {
  dropKept()
  token.value = null
  presence.value = 'out'
  problem.value = null
  me.value = null
  for (const listener of leaveListeners) listener()
}

/** The server refused the token in the middle of something. What was begun waits for another one of the same user. */
export function renew(): void {
  if (presence.peek() !== 'in') return
  presence.value = 'out'
  problem.value = null
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
    dropKept()
    keep(tabShelf, tokenKey, given.token)
    return true
  } catch (thrown) {
    problem.value = thrown instanceof Refusal ? explainCode(thrown) : String(thrown)
    return false
  }
}

function explainCode({ failure }: Refusal): string {
  if (failure.status === 404) return 'This server has no sign-in links: it does not run in development. Paste a token.'
  if (failure.code === 'UNAUTHENTICATED' || failure.status === 410)
    return 'This sign-in link was used already or has expired. `npx landfall sign-in-link` prints another one; or paste a token.'
  return explain(failure)
}

/** What was kept may have expired meanwhile, which is nothing to complain about after a link that did not work either. */
async function tryKept(kept: string): Promise<boolean> {
  const before = problem.peek()
  const isIn = await tryToken(kept)
  if (!isIn && before !== null) problem.value = before
  return isIn
}

async function tryToken(candidate: string): Promise<boolean> {
  let who: Me
  try {
    // Asked beside the token that counts, which others use meanwhile.
    who = await createApi(server, () => candidate).me()
  } catch (thrown) {
    problem.value = thrown instanceof Refusal ? explain(thrown.failure) : String(thrown)
    return false
  }
  const isAnother = me.peek() !== null && (me.peek()?.user !== who.user || me.peek()?.tenant !== who.tenant)
  if (isAnother) {
    // Before the new token counts: nothing of the one before may go on with it.
    presence.value = 'entering'
    token.value = null
    me.value = null
    for (const listener of leaveListeners) listener()
  }
  me.value = who
  token.value = candidate
  presence.value = 'in'
  problem.value = null
  for (const listener of enterListeners) listener()
  return true
}

function dropKept(): void {
  tabShelf.removeItem(tokenKey)
  deviceShelf.removeItem(tokenKey)
}
