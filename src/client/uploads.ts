import { fileLocks } from './file-locks.ts'
import { createTransfer, type Transfer, type TransferSettings } from './transfer.ts'
import { isOver, type SendableFile, type TransferView } from './transfer-view.ts'
import { uploadIdOf } from './upload-id.ts'

type Optional = 'locks' | 'status' | 'pollMs' | 'stallMs' | 'finishStallMs'

export interface UploadsOptions
  extends Omit<TransferSettings, 'owner' | Optional>,
    Partial<Pick<TransferSettings, Optional>> {
  /** Who is signed in. */
  owner: () => string
  /** How many files travel at the same time. */
  atOnce?: number
}

/** The files on their way from this browser, in the order in which they were given. */
export interface Uploads {
  /**
   * A file that is on its way already is not sent twice; if it had stopped, it goes on.
   * @param url an upload that the file belongs to, if somebody knows
   * @param batch the same for files that are given together
   */
  add(file: SendableFile, url?: string, batch?: string): string
  views(): TransferView[]
  /** Called after every change with the id of the transfer; progress comes many times a second. Returns the way out. */
  subscribe(listener: (id: string) => void): () => void
  pause(id: string): void
  resume(id: string): void
  /** Sends it from here, although another device seems to be sending it. */
  takeOver(id: string): void
  /** Stops the transfer and frees what the server keeps of it. @throws Refusal when the server could not be told */
  cancel(id: string): Promise<void>
  /** Takes a transfer that is over out of the list. */
  dismiss(id: string): void
  /** Does the same to many: none of them gets the turn of one that `work` has just stopped. */
  together(work: () => void): void
  /** Takes all out of the list and leaves what the server has as it is: another user has signed in. */
  clear(): void
  /** There is news: the network is back, or another token. */
  wake(): void
}

const working = new Set(['sending', 'finishing', 'waiting'])

/** Sends files by tus, some at once, each going on where it stopped whatever happens in between. */
export function createUploads(options: UploadsOptions): Uploads {
  const { owner, atOnce = 3, token } = options
  const settings = {
    locks: fileLocks(undefined),
    status: async () => null,
    pollMs: 2000,
    stallMs: 45_000,
    finishStallMs: 300_000,
    ...options,
  }
  const transfers = new Map<string, Transfer>()
  // Kept beside the list, so that ten thousand files are not searched for each one that changes.
  const queued = new Map<string, Transfer>()
  const running = new Set<string>()
  const byFingerprint = new Map<string, string>()
  const byUpload = new Map<string, string>()
  const listeners = new Set<(id: string) => void>()
  let isFilling = false
  let count = 0

  /** Starts what is queued while there is room. A waiting transfer keeps its place, so an outage does not drag everyone in. */
  function fill(): void {
    if (isFilling) return
    isFilling = true
    for (const transfer of queued.values()) {
      if (running.size >= atOnce) break
      transfer.run()
    }
    isFilling = false
  }

  function changed(id: string, transfer: Transfer): void {
    const { state, url } = transfer.view()
    const isListed = transfers.get(id) === transfer
    if (isListed && state === 'queued') queued.set(id, transfer)
    else queued.delete(id)
    if (isListed && working.has(state)) running.add(id)
    else running.delete(id)
    if (isListed && url !== null) byUpload.set(uploadIdOf(url), id)
    fill()
    for (const listener of listeners) listener(id)
  }

  function remove(id: string): Transfer | undefined {
    const transfer = transfers.get(id)
    if (!transfer) return undefined
    const { url } = transfer.view()
    transfers.delete(id)
    queued.delete(id)
    running.delete(id)
    if (byFingerprint.get(transfer.fingerprint) === id) byFingerprint.delete(transfer.fingerprint)
    if (url !== null && byUpload.get(uploadIdOf(url)) === id) byUpload.delete(uploadIdOf(url))
    return transfer
  }

  /** The transfer of the same file or upload. */
  function twinOf({ fingerprint, view }: Transfer): Transfer | undefined {
    const { url } = view()
    const id = byFingerprint.get(fingerprint) ?? (url === null ? undefined : byUpload.get(uploadIdOf(url)))
    return id === undefined ? undefined : transfers.get(id)
  }

  return {
    add(file, url, batch) {
      count += 1
      const id = `t${count}`
      const mine = owner()
      // What one user has begun never asks with the token of the next.
      const ownToken = () => (owner() === mine ? token() : null)
      const transfer: Transfer = createTransfer(
        id,
        file,
        { ...settings, owner: mine, token: ownToken },
        url ?? null,
        batch ?? null,
        () => changed(id, transfer),
      )
      const twin = twinOf(transfer)
      if (twin && !isOver(twin.view().state)) {
        resume(twin)
        return twin.view().id
      }
      // Given once more, a file that failed is the new one. One that has arrived stays beside it.
      if (twin?.view().state === 'failed') remove(twin.view().id)
      transfers.set(id, transfer)
      byFingerprint.set(transfer.fingerprint, id)
      changed(id, transfer)
      return id
    },
    views: () => Array.from(transfers.values(), (transfer) => transfer.view()),
    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    pause: (id) => transfers.get(id)?.pause(),
    resume(id) {
      const transfer = transfers.get(id)
      if (transfer) resume(transfer)
    },
    takeOver: (id) => transfers.get(id)?.takeOver(),
    async cancel(id) {
      const ended = remove(id)?.cancel()
      await ended
    },
    dismiss(id) {
      const transfer = transfers.get(id)
      if (!transfer || !isOver(transfer.view().state)) return
      remove(id)
      changed(id, transfer)
    },
    together(work) {
      isFilling = true
      work()
      isFilling = false
      fill()
    },
    clear() {
      isFilling = true
      for (const id of [...transfers.keys()]) remove(id)?.drop()
      isFilling = false
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
