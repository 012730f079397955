import { createTransfer, type Transfer, type TransferSettings } from './transfer.ts'
import { isOver, type SendableFile, type TransferView } from './transfer-view.ts'

export interface UploadsOptions extends Omit<TransferSettings, 'owner' | 'stallMs' | 'finishStallMs'> {
  owner: () => string
  /** How many files travel at the same time. */
  atOnce?: number
  stallMs?: number
  finishStallMs?: number
}

/** The files on their way from this browser, in the order in which they were given. */
export interface Uploads {
  /**
   * A file that is on its way already is not sent twice; if it had stopped, it goes on.
   * @param url an upload that the file belongs to, if somebody knows
   */
  add(file: SendableFile, url?: string): string
  views(): TransferView[]
  /** Called after every change; progress comes many times a second. Returns the way out. */
  subscribe(listener: () => void): () => void
  pause(id: string): void
  resume(id: string): void
  /** Stops the transfer and frees what the server keeps of it. @throws Refusal when the server could not be told */
  cancel(id: string): Promise<void>
  /** Takes a transfer that is over out of the list. */
  dismiss(id: string): void
  /** There is news: the network is back, or another token. */
  wake(): void
}

const working = new Set(['sending', 'finishing', 'waiting'])

/** Sends files by tus, some at once, each going on where it stopped whatever happens in between. */
export function createUploads(options: UploadsOptions): Uploads {
  const { owner, atOnce = 3, stallMs = 45_000, finishStallMs = 300_000, ...shared } = options
  const transfers = new Map<string, Transfer>()
  const listeners = new Set<() => void>()
  let isFilling = false
  let count = 0

  /** Starts what is queued while there is room. A waiting transfer keeps its place, so an outage does not drag everyone in. */
  function fill(): void {
    if (isFilling) return
    isFilling = true
    let running = 0
    for (const transfer of transfers.values()) if (working.has(transfer.view().state)) running += 1
    for (const transfer of transfers.values()) {
      if (running >= atOnce) break
      if (transfer.view().state !== 'queued') continue
      transfer.run()
      if (working.has(transfer.view().state)) running += 1
    }
    isFilling = false
  }

  function changed(): void {
    fill()
    for (const listener of listeners) listener()
  }

  return {
    add(file, url) {
      count += 1
      const id = `t${count}`
      const settings = { ...shared, owner: owner(), stallMs, finishStallMs }
      const transfer = createTransfer(id, file, settings, url ?? null, changed)
      const twin = [...transfers.values()].find((other) => isSame(other, transfer))
      if (twin) {
        resume(twin)
        return twin.view().id
      }
      for (const [before, other] of transfers) {
        if (other.view().state === 'failed' && isSameFile(other, transfer)) transfers.delete(before)
      }
      transfers.set(id, transfer)
      changed()
      return id
    },
    views: () => [...transfers.values()].map((transfer) => transfer.view()),
    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    pause: (id) => transfers.get(id)?.pause(),
    resume(id) {
      const transfer = transfers.get(id)
      if (transfer) resume(transfer)
    },
    async cancel(id) {
      const transfer = transfers.get(id)
      transfers.delete(id)
      const ended = transfer?.cancel()
      changed()
      await ended
    },
    dismiss(id) {
      const transfer = transfers.get(id)
      if (!transfer || !isOver(transfer.view().state)) return
      transfers.delete(id)
      changed()
    },
    wake() {
      for (const transfer of transfers.values()) transfer.wake()
    },
  }
}

function resume(transfer: Transfer): void {
  const { state } = transfer.view()
  if (state === 'paused') transfer.queue()
  else if (state === 'failed') transfer.retry()
  else transfer.wake()
}

/** Whether both would fill one upload. A failed transfer does not count: its file may have become unreadable. */
function isSame(running: Transfer, given: Transfer): boolean {
  return !isOver(running.view().state) && isSameFile(running, given)
}

function isSameFile(running: Transfer, given: Transfer): boolean {
  const { url } = running.view()
  return running.fingerprint === given.fingerprint || (url !== null && url === given.view().url)
}
