import { signal } from '@preact/signals'
import type { ListedUpload } from '../../client/api.ts'
import { Refusal } from '../../client/refusal.ts'
import { api, me, onEnter, presence, renew } from './session.ts'
import { explain } from './words.ts'

// "My uploads", as the server tells them.

export const listed = signal<ListedUpload[]>([])
export const hasMore = signal(false)
export const listing = signal<'new' | 'ready' | 'failed'>('new')
export const listingProblem = signal<string | null>(null)

let next: string | null = null
let asked = 0

/** Whose list it is. */
let owner: string | null = null

onEnter(() => {
  const user = JSON.stringify([me.peek()?.tenant, me.peek()?.user])
  if (owner !== null && user !== owner) clear()
  owner = user
  void refresh()
})

function clear(): void {
  listed.value = []
  next = null
  hasMore.value = false
  listing.value = 'new'
}

/** Reads the list anew, as many pages as are shown. */
export async function refresh(): Promise<void> {
  if (presence.peek() !== 'in') return
  const turn = ++asked
  const wanted = Math.max(1, listed.peek().length)
  await attempt(async () => {
    const found: ListedUpload[] = []
    let before: string | undefined
    do {
      const page = await api.uploads(before)
      found.push(...page.uploads)
      before = page.next ?? undefined
    } while (before !== undefined && found.length < wanted)
    // A later question has a later answer.
    if (turn !== asked) return
    listed.value = found
    next = before ?? null
    hasMore.value = next !== null
  })
}

let isDue = false

/** Reads the list anew in a moment, once for everything that happens until then. */
export function refreshSoon(): void {
  if (isDue) return
  isDue = true
  setTimeout(() => {
    isDue = false
    void refresh()
  }, 400)
}

/** Adds the next page. */
export async function showMore(): Promise<void> {
  const from = next
  await attempt(async () => {
    const page = await api.uploads(from ?? undefined)
    // It was asked for twice, or is the page of another list by now.
    if (from !== next) return
    listed.value = [...listed.peek(), ...page.uploads]
    next = page.next
    hasMore.value = next !== null
  })
}

/** Deletes an upload, or the file it became, for good. False, and a reason beside the list, when that did not work. */
export async function remove(upload: ListedUpload): Promise<boolean> {
  const isGone = await attempt(async () => {
    try {
      await api.remove(upload.id)
    } catch (thrown) {
      // Gone already is as good.
      const isGoneAlready = thrown instanceof Refusal && [404, 410].includes(thrown.failure.status ?? 0)
      if (!isGoneAlready) throw thrown
    }
    listed.value = listed.peek().filter(({ id }) => id !== upload.id)
  })
  if (isGone) refreshSoon()
  return isGone
}

async function attempt(work: () => Promise<void>): Promise<boolean> {
  try {
    await work()
    listing.value = 'ready'
    listingProblem.value = null
    return true
  } catch (thrown) {
    if (!(thrown instanceof Refusal)) throw thrown
    if (thrown.failure.code === 'UNAUTHENTICATED') {
      await renew()
      return false
    }
    listing.value = 'failed'
    listingProblem.value = explain(thrown.failure)
    return false
  }
}
