import { signal } from '@preact/signals'
import type { ListedUpload, UploadsPage } from '../../client/api.ts'
import { RequestError } from '../../client/request-error.ts'
import { joinPage } from './join-page.ts'
import { explain } from './messages.ts'
import { api, onSignIn, onSignOut, renew, signInState } from './session.ts'

// The user's uploads, as the server tells them.

export const listed = signal<ListedUpload[]>([])
export const hasMore = signal(false)
export const listState = signal<'new' | 'ready' | 'failed'>('new')
export const listError = signal<string | null>(null)

/** Where the next page begins. */
let next: string | null = null
/** Answers that were asked for before this changed belong to another user, or to a list that was read anew. */
let turn = 0
/** Changes with the user. */
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

/** Reads the newest uploads and joins them with those that are known. Further down the list stays as it was read. */
export async function refresh(): Promise<void> {
  if (signInState.peek() !== 'in') return
  const mine = ++turn
  await attempt(async () => {
    const page = await api.uploads()
    // A later question has a later answer.
    if (mine === turn) take(joinPage(listed.peek(), page, next))
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

let isReading = false
/** Of a folder that goes on after a page so many pages more are read at once. */
const maxPages = 20

/** Adds the next page, and further ones as long as they belong to the same batch. */
export async function showMore(): Promise<void> {
  if (isReading) return
  isReading = true
  await attempt(async () => {
    for (let count = 0; count < maxPages && next !== null; count++) {
      const from: string = next
      const last = listed.peek().at(-1)
      if (count > 0 && (!last?.batch || last.batch !== listed.peek().at(-2)?.batch)) break
      const page = await api.uploads(from)
      // It is the page of another list by now.
      if (from !== next) return
      take({ uploads: [...listed.peek(), ...page.uploads], next: page.next })
    }
  })
  isReading = false
}

function take(page: UploadsPage): void {
  listed.value = page.uploads
  next = page.next
  hasMore.value = next !== null
}

/** Deletes an upload, or the file it became, for good. False, and a reason beside the list, when that did not work. */
export async function remove(id: string): Promise<boolean> {
  return attempt(async () => {
    try {
      await api.remove(id)
    } catch (thrown) {
      // Gone already is as good.
      const isGoneAlready = thrown instanceof RequestError && [404, 410].includes(thrown.failure.status ?? 0)
      if (!isGoneAlready) throw thrown
    }
    listed.value = listed.peek().filter((upload) => upload.id !== id)
  })
}

async function attempt(work: () => Promise<void>): Promise<boolean> {
  const mine = generation
  try {
    await work()
    if (mine !== generation) return false
    listState.value = 'ready'
    listError.value = null
    return true
  } catch (thrown) {
    if (!(thrown instanceof RequestError)) throw thrown
    if (thrown.failure.code === 'UNAUTHENTICATED') {
      renew()
    } else if (mine === generation) {
      listState.value = 'failed'
      listError.value = explain(thrown.failure)
    }
    return false
  }
}
