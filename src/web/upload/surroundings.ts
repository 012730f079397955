import { effect } from '@preact/signals'
import type { ListedUpload } from '../../client/api.ts'
import { isOver } from '../../client/transfer-view.ts'
import { percent } from './format.ts'
import { listed, refresh } from './listing.ts'
import { overall, send, transfers, uploads } from './outbox.ts'

/** What the page hears from and tells to the browser around it: network, clipboard, tab title, leaving, a sleeping screen. */
export function watchSurroundings(): void {
  addEventListener('online', () => uploads.wake())
  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState !== 'visible') return
    void refresh()
    if (isSending()) void keepAwake()
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
    const { open, sent, size } = overall.value
    document.title = open === 0 ? 'Landfall' : `${percent(sent, size)} % · Landfall`
  })
  effect(() => {
    if (transfers.value.some(({ state }) => state === 'sending')) void keepAwake()
    else void letSleep()
  })
  setInterval(() => {
    if (document.visibilityState === 'visible' && listed.peek().some(isMoving)) void refresh()
  }, 5000)
}

/** Files that are being put together change by themselves, and what another tab or the last visit sends does for a while. */
function isMoving({ state, updatedAt }: ListedUpload): boolean {
  return state === 'finishing' || (state === 'receiving' && Date.now() - Date.parse(updatedAt) < 60_000)
}

function isSending(): boolean {
  return transfers.peek().some(({ state }) => !isOver(state) && state !== 'paused')
}

let lock: WakeLockSentinel | null = null
let isAsking = false

/** A phone that falls asleep stops sending. */
async function keepAwake(): Promise<void> {
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

async function letSleep(): Promise<void> {
  await lock?.release()
  lock = null
}
