import { computed, signal } from '@preact/signals'
import { createApi, type Me } from '../../client/api.ts'
import { Refusal } from '../../client/refusal.ts'
import { deviceShelf, keep, tabShelf } from './shelves.ts'
import { explain } from './words.ts'

// Who this page is. A token is pasted by the user (kept for the tab, or on this device if they wish) or, on a server in
// development mode, comes from the server for the one-time code of a sign-in link.

/** `entering` until the first answer; `out`: a token is needed. */
export type Presence = 'entering' | 'out' | 'in'

const token = signal<string | null>(null)
export const presence = signal<Presence>('entering')
export const me = signal<Me | null>(null)
/** Why there is no token that works, in words. */
export const problem = signal<string | null>(null)
/** Somebody was here, and their token stopped working. */
export const hasExpired = computed(() => presence.value === 'out' && me.value !== null)

export const api = createApi(location.origin, () => token.peek())

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
const listeners = new Set<() => void>()

/** Calls `listener` whenever a token starts to count. */
export function onEnter(listener: () => void): void {
  listeners.add(listener)
}

/** Finds a token: by the one-time code of a sign-in link, else the one that was kept. */
export async function enter(): Promise<void> {
  const code = takeCode()
  const kept = tabShelf.getItem(tokenKey) ?? deviceShelf.getItem(tokenKey)
  const isIn = (code !== null && (await tryCode(code))) || (kept !== null && (await tryToken(kept)))
  if (!isIn) presence.value = 'out'
  arrived()
}

/** Signs in with a pasted token. @param isKept also after the browser was closed */
export async function usePasted(pasted: string, isKept: boolean): Promise<boolean> {
  const bare = pasted.trim().replace(/^Bearer\s+/i, '')
  if (!(await tryToken(bare))) return false
  dropKept()
  keep(isKept ? deviceShelf : tabShelf, tokenKey, bare)
  return true
}

/** Forgets the token. */
export async function leave(): Promise<void> {
  dropKept()
  token.value = null
  me.value = null
  problem.value = null
  presence.value = 'out'
}

/** The server refused the token in the middle of something: the user is asked for another one. */
export async function renew(): Promise<void> {
  if (presence.peek() !== 'in') return
  presence.value = 'out'
  problem.value = null
}

/** The code of a sign-in link, which then leaves the address bar and the history. */
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
    problem.value = thrown instanceof Refusal ? (thrown.failure.message ?? explain(thrown.failure)) : String(thrown)
    return false
  }
}

async function tryToken(candidate: string): Promise<boolean> {
  try {
    // Asked beside the token that counts, which others use meanwhile.
    me.value = await createApi(location.origin, () => candidate).me()
  } catch (thrown) {
    if (presence.peek() === 'entering' && !(thrown instanceof Refusal && thrown.failure.status === 401))
      presence.value = 'out'
    problem.value = thrown instanceof Refusal ? explain(thrown.failure) : String(thrown)
    return false
  }
  token.value = candidate
  presence.value = 'in'
  problem.value = null
  for (const listener of listeners) listener()
  return true
}

function dropKept(): void {
  tabShelf.removeItem(tokenKey)
  deviceShelf.removeItem(tokenKey)
}
