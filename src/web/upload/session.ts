import { computed, signal } from '@preact/signals'
import { createApi, type DevToken, type Me } from '../../client/api.ts'
import { Refusal } from '../../client/refusal.ts'
import { deviceShelf, keep, tabShelf } from './shelves.ts'
import { explain } from './words.ts'

// Who this page is. A token comes from the person (kept for the tab, or on this device if they wish) or, on a server that
// is being tried out, from the server itself, which also lets one change role and name.

/** `entering` until the first answer; `out`: a token is needed. */
export type Presence = 'entering' | 'out' | 'in'

const token = signal<string | null>(null)
export const presence = signal<Presence>('entering')
export const me = signal<Me | null>(null)
export const isTrial = signal(false)
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
const trialKey = 'landfall:trial'
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

/** Finds a token: the one that was kept, else a development token of a server in trial mode. */
export async function enter(): Promise<void> {
  const kept = tabShelf.getItem(tokenKey) ?? deviceShelf.getItem(tokenKey)
  if (kept === null || !(await tryToken(kept))) await enterTrial(readTrial())
  arrived()
}

/** Signs in with a pasted token. @param isKept also after the browser was closed */
export async function usePasted(pasted: string, isKept: boolean): Promise<boolean> {
  const bare = pasted.trim().replace(/^Bearer\s+/i, '')
  if (!(await tryToken(bare))) return false
  isTrial.value = false
  dropKept()
  keep(isKept ? deviceShelf : tabShelf, tokenKey, bare)
  return true
}

/** Becomes somebody else, on a server in trial mode. */
export async function become(wish: { user?: string; role?: string }): Promise<boolean> {
  return enterTrial({ ...readTrial(), ...wish })
}

/** Forgets the pasted token. */
export async function leave(): Promise<void> {
  dropKept()
  token.value = null
  me.value = null
  presence.value = 'entering'
  await enterTrial(readTrial())
}

let renewedAt = Number.NEGATIVE_INFINITY

/** The server refused the token in the middle of something: a trial gets the next one by itself, a person is asked. */
export async function renew(): Promise<void> {
  if (presence.peek() !== 'in') return
  const isTooSoon = performance.now() - renewedAt < 10_000
  renewedAt = performance.now()
  presence.value = 'out'
  problem.value = null
  if (isTrial.peek() && !isTooSoon) await enterTrial(readTrial())
}

async function enterTrial(wish: Partial<DevToken>): Promise<boolean> {
  try {
    const given = await api.devToken(wish)
    if (!(await tryToken(given.token))) return false
    isTrial.value = true
    keep(tabShelf, trialKey, JSON.stringify({ user: given.user, role: given.role }))
    return true
  } catch (thrown) {
    const failure = thrown instanceof Refusal ? thrown.failure : null
    // A server that is not in trial mode has no such address, which is no problem but the usual case.
    const isUsual = failure?.status === 404 || failure?.status === 401
    if (!isUsual || presence.peek() === 'in') problem.value = failure ? explainTrial(failure) : String(thrown)
    if (presence.peek() === 'entering') presence.value = 'out'
    return false
  }
}

function explainTrial(failure: Refusal['failure']): string {
  return failure.message ?? explain(failure)
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

function readTrial(): { user?: string; role?: string } {
  try {
    return JSON.parse(tabShelf.getItem(trialKey) ?? '{}')
  } catch {
    return {}
  }
}

function dropKept(): void {
  tabShelf.removeItem(tokenKey)
  deviceShelf.removeItem(tokenKey)
}
