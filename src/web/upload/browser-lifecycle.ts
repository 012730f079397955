import { effect } from '@preact/signals'
import { memoryPrefix } from '../../client/memory.ts'
import { isOver } from '../../client/transfer-view.ts'
import type { OwnUpload } from '../../contract/upload.ts'
import { percent } from '../ui/format.ts'
import { listed, refresh, refreshSoon } from './list-store.ts'
import { checkOtherTabs, otherTabs, round, send, transfers, uploads } from './upload-queue.ts'

/** Connects the page to events and features of the browser: network, clipboard, tab title, leaving the page, screen wake lock. */
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
  // Another tab writes to the memory when it creates or completes an upload.
  addEventListener('storage', ({ key }) => {
    if (!key?.startsWith(memoryPrefix)) return
    void checkOtherTabs()
    refreshSoon()
  })
  setInterval(() => {
    if (document.visibilityState !== 'visible') return
    void checkOtherTabs()
    if (listed.peek().some(mayChange)) void refresh()
  }, pollMs)
}

const pollMs = 3000

/** Whether something else may change the upload: the server that completes it, or another tab or device that has sent to it recently. */
function mayChange({ id, state, live, updatedAt }: OwnUpload): boolean {
  if (state === 'finishing') return true
  if (state !== 'receiving') return false
  return live || otherTabs.peek().has(id) || Date.now() - Date.parse(updatedAt) < 60_000
}

function isSending(): boolean {
  return transfers.peek().some(({ state }) => !isOver(state) && state !== 'paused')
}

let lock: WakeLockSentinel | null = null
let isRequesting = false

/** Keeps the screen on: a phone that sleeps stops sending. */
async function acquireWakeLock(): Promise<void> {
  if (isRequesting || (lock && !lock.released) || !('wakeLock' in navigator)) return
  if (document.visibilityState !== 'visible') return
  isRequesting = true
  try {
    lock = await navigator.wakeLock.request('screen')
  } catch {
    // Denied, for example on low battery: the upload continues while the screen is on.
  }
  isRequesting = false
}

async function releaseWakeLock(): Promise<void> {
  await lock?.release()
  lock = null
}
