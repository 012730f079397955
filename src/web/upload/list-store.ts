import { signal } from '@preact/signals'
import { RequestError } from '../../client/request-error.ts'
import type { OwnUpload, OwnUploads } from '../../contract/upload.ts'
import { explain } from '../ui/messages.ts'
import { joinPage } from './join-page.ts'
import { api, onSignIn, onSignOut, requireSignIn, signInState } from './session.ts'

// The user's uploads, as the server lists them.

export const listed = signal<OwnUpload[]>([])
export const hasMore = signal(false)
export const listState = signal<'new' | 'ready' | 'failed'>('new')
export const listError = signal<string | null>(null)

/** The cursor of the next page. */
let next: string | null = null
/** Incremented by every refresh and sign-out; a response of an earlier turn is ignored. */
let turn = 0
/** Incremented on sign-out. */
let generation = 0

onSignIn(() => void refresh())
onSignOut(() => {
  turn += 1
  generation += 1
  listed.value = []
  next = null
  hasMore.value = false
  listState.value = 'new'
  listError.value = null
})

/** Loads the first page and merges it into the list. Older uploads stay as they were loaded. */
export async function refresh(): Promise<void> {
  if (signInState.peek() !== 'signed-in') return
  const ownTurn = ++turn
  await attempt(async () => {
    const page = await api.uploads()
    // A later refresh has a newer response.
    if (ownTurn === turn) setPage(joinPage(listed.peek(), page, next))
  })
}

let isDue = false

/** Refreshes the list after a short delay, once for all calls until then. */
export function refreshSoon(): void {
  if (isDue) return
  isDue = true
  setTimeout(() => {
    isDue = false
    void refresh()
  }, 400)
}

let isLoading = false
/** Maximum pages to load at once for a batch that does not end with a page. */
const maxPages = 20

/** Loads the next page, and more pages while they continue the same batch. */
export async function showMore(): Promise<void> {
  if (isLoading) return
  isLoading = true
  await attempt(async () => {
    for (let count = 0; count < maxPages && next !== null; count++) {
      const cursor: string = next
      const last = listed.peek().at(-1)
      if (count > 0 && (!last?.batch || last.batch !== listed.peek().at(-2)?.batch)) break
      const page = await api.uploads(cursor)
      // The list was reloaded meanwhile.
      if (cursor !== next) return
      setPage({ uploads: [...listed.peek(), ...page.uploads], next: page.next })
    }
  })
  isLoading = false
}

function setPage(page: OwnUploads): void {
  listed.value = page.uploads
  next = page.next
  hasMore.value = next !== null
}

/** Permanently deletes an upload or completed file. Returns false and sets `listError` when that fails. */
export async function remove(id: string): Promise<boolean> {
  return attempt(async () => {
    try {
      await api.remove(id)
    } catch (thrown) {
      const isGone = thrown instanceof RequestError && [404, 410].includes(thrown.failure.status ?? 0)
      if (!isGone) throw thrown
    }
    listed.value = listed.peek().filter((upload) => upload.id !== id)
  })
}

async function attempt(work: () => Promise<void>): Promise<boolean> {
  const ownGeneration = generation
  try {
    await work()
    if (ownGeneration !== generation) return false
    listState.value = 'ready'
    listError.value = null
    return true
  } catch (thrown) {
    if (!(thrown instanceof RequestError)) throw thrown
    if (thrown.failure.code === 'UNAUTHENTICATED') {
      requireSignIn()
    } else if (ownGeneration === generation) {
      listState.value = 'failed'
      listError.value = explain(thrown.failure)
    }
    return false
  }
}
