import { effect } from '@preact/signals'
import type { ListedUpload } from '../../client/api.ts'
import { memoryPrefix } from '../../client/memory.ts'
import { isOver } from '../../client/transfer-view.ts'
import { percent } from './format.ts'
import { listed, refresh, refreshSoon } from './list-store.ts'
import { checkOtherTabs, otherTabs, round, send, transfers, uploads } from './upload-queue.ts'

/** What the page hears from and tells to the browser around it: network, clipboard, tab title, leaving, a sleeping screen. */
export function watchBrowser(): void {
  addEventListener('online', () => uploads.wake())
  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState !== 'visible') return
    void refresh()
    if (isSending()) void acquireWakeLock()
  })
  addEventListener('beforeunload', (event) => {
    if (isSending()) event.preventDefault()
  })
  document.addEventListener('paste', (event) => {
    const files = [...(event.clipboardData?.files ?? [])]
    if (files.length === 0) return
    event.preventDefault()
    void send(files)
  })
  effect(() => {
    const { open, confirmed, size } = round.value
    document.title = open === 0 ? 'Landfall' : `${percent(confirmed, size)} % · Landfall`
  })
  effect(() => {
    if (transfers.value.some(({ state }) => state === 'sending')) void acquireWakeLock()
    else void releaseWakeLock()
  })
  // Another tab remembers or forgets an upload when it begins or has arrived.
  addEventListener('storage', ({ key }) => {
    if (!key?.startsWith(memoryPrefix)) return
    void checkOtherTabs()
    refreshSoon()
  })
  setInterval(() => {
    if (document.visibilityState !== 'visible') return
    void checkOtherTabs()
    if (listed.peek().some(isMoving)) void refresh()
  }, pollMs)
}

const pollMs = 3000

/** What is changed by others: by the server, which stores a file, by another tab or device, or by the last visit for a while. */
function isMoving({ id, state, live, updatedAt }: ListedUpload): boolean {
  if (state === 'finishing') return true
  if (state !== 'receiving') return false
  return live || otherTabs.peek().has(id) || Date.now() - Date.parse(updatedAt) < 60_000
}

function isSending(): boolean {
  return transfers.peek().some(({ state }) => !isOver(state) && state !== 'paused')
}

let lock: WakeLockSentinel | null = null
let isAsking = false

/** A phone that falls asleep stops sending. */
async function acquireWakeLock(): Promise<void> {
  if (isAsking || (lock && !lock.released) || !('wakeLock' in navigator)) return
  if (document.visibilityState !== 'visible') return
  isAsking = true
  try {
    lock = await navigator.wakeLock.request('screen')
  } catch {
    // Refused, on low battery for instance: sending goes on while the screen is on.
  }
  isAsking = false
}

async function releaseWakeLock(): Promise<void> {
  await lock?.release()
  lock = null
}
