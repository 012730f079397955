import { fileLocks } from './file-locks.ts'
import { createTransfer, type Transfer, type TransferSettings } from './transfer.ts'
import { isOver, type SendableFile, type TransferView } from './transfer-view.ts'
import { uploadIdOf } from './upload-id.ts'

type Optional = 'locks' | 'status' | 'pollMs' | 'stallMs' | 'finishStallMs'

export interface UploadsOptions
  extends Omit<TransferSettings, 'owner' | Optional>,
    Partial<Pick<TransferSettings, Optional>> {
  /** The signed-in user. */
  owner: () => string
  /** How many files are sent at the same time. */
  concurrency?: number
}

/** The transfers of this browser, in the order in which their files were added. */
export interface Uploads {
  /**
   * Adds a file. One that is being sent already is not sent twice; if its transfer has stopped, it resumes.
   * @param url the upload that the file belongs to, if the caller knows it
   * @param batch shared by files that are added together
   * @returns the id of the transfer
   */
  add(file: SendableFile, url?: string, batch?: string): string
  views(): TransferView[]
  /** Calls `listener` after every change with the id of the transfer, many times a second. Returns a function that unsubscribes. */
  subscribe(listener: (id: string) => void): () => void
  pause(id: string): void
  resume(id: string): void
  /** Sends the file from here, although another device seems to be sending it. */
  takeOver(id: string): void
  /** Stops the transfer and deletes the upload on the server. @throws RequestError when the deletion fails */
  cancel(id: string): Promise<void>
  /** Removes an ended transfer from the list. */
  dismiss(id: string): void
  /** Applies `work` to many transfers: no queued one starts before `work` returns. */
  batchChanges(work: () => void): void
  /** Removes all transfers and leaves the uploads on the server unchanged, because another user has signed in. */
  clear(): void
  /** The network is back, or there is another token. */
  wake(): void
}

const working = new Set(['sending', 'finishing', 'waiting'])

/** Uploads files by tus, some at the same time; each resumes where it stopped. */
export function createUploads(options: UploadsOptions): Uploads {
  const { owner, concurrency = 3, token } = options
  const settings = {
    locks: fileLocks(undefined),
    status: async () => null,
    pollMs: 2000,
    stallMs: 45_000,
    finishStallMs: 300_000,
    ...options,
  }
  const transfers = new Map<string, Transfer>()
  // Indexes beside the list: a change must not search ten thousand files.
  const queued = new Map<string, Transfer>()
  const running = new Set<string>()
  const byFingerprint = new Map<string, string>()
  const byUpload = new Map<string, string>()
  const listeners = new Set<(id: string) => void>()
  let isSuspended = false
  let count = 0

  /** Starts queued transfers while there is capacity. A waiting transfer counts as running, so an outage does not start all the others. */
  function startQueued(): void {
    if (isSuspended) return
    isSuspended = true
    for (const transfer of queued.values()) {
      if (running.size >= concurrency) break
      transfer.run()
    }
    isSuspended = false
  }

  function changed(id: string, transfer: Transfer): void {
    const { state, url } = transfer.view()
    const isListed = transfers.get(id) === transfer
    if (isListed && state === 'queued') queued.set(id, transfer)
    else queued.delete(id)
    if (isListed && working.has(state)) running.add(id)
    else running.delete(id)
    if (isListed && url !== null) byUpload.set(uploadIdOf(url), id)
    startQueued()
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

  /** An earlier transfer of the same file or upload. */
  function duplicateOf({ fingerprint, view }: Transfer): Transfer | undefined {
    const { url } = view()
    const id = byFingerprint.get(fingerprint) ?? (url === null ? undefined : byUpload.get(uploadIdOf(url)))
    return id === undefined ? undefined : transfers.get(id)
  }

  return {
    add(file, url, batch) {
      count += 1
      const id = `t${count}`
      const addedBy = owner()
      // A transfer of one user never sends the token of the next one.
      const ownToken = () => (owner() === addedBy ? token() : null)
      const transfer: Transfer = createTransfer(
        id,
        file,
        { ...settings, owner: addedBy, token: ownToken },
        url ?? null,
        batch ?? null,
        () => changed(id, transfer),
      )
      const duplicate = duplicateOf(transfer)
      if (duplicate && !isOver(duplicate.view().state)) {
        resume(duplicate)
        return duplicate.view().id
      }
      // A file that is added again replaces its failed transfer; a completed one stays in the list.
      if (duplicate?.view().state === 'failed') remove(duplicate.view().id)
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
      await remove(id)?.cancel()
    },
    dismiss(id) {
      const transfer = transfers.get(id)
      if (!transfer || !isOver(transfer.view().state)) return
      remove(id)
      changed(id, transfer)
    },
    batchChanges(work) {
      isSuspended = true
      work()
      isSuspended = false
      startQueued()
    },
    clear() {
      isSuspended = true
      for (const id of [...transfers.keys()]) remove(id)?.drop()
      isSuspended = false
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
