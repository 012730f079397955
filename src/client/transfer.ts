import type { UploadOptions } from 'tus-js-client'
import type { FileLocks, Release } from './file-locks.ts'
import { fingerprintOf, type UploadMemory } from './memory.ts'
import { type UploadStatus, watchOtherDevice } from './other-device.ts'
import { type Failure, noAnswer, readFailure } from './request-error.ts'
import { decideRetry } from './retry.ts'
import { startSending, terminate } from './sending.ts'
import { createSpeed, timeLeft } from './speed.ts'
import { canPause, type SendableFile, type TransferView } from './transfer-view.ts'

export interface TransferSettings {
  /** Absolute URL of the tus endpoint. */
  endpoint: string
  token: () => string | null
  /** The user; URLs that were remembered for another user are not used. */
  owner: string
  memory: UploadMemory
  isOnline: () => boolean
  /** Lets one tab of this browser send a file. */
  locks: FileLocks
  /** Reads the status of an upload; `null` when the server did not respond. Called about once a second while a transfer sends. */
  status: (url: string) => Promise<UploadStatus | null>
  /** How often the status of an upload is read that another device sends. */
  pollMs: number
  /** Passed on to tus-js-client. */
  tus?: Partial<UploadOptions> | undefined
  /** A connection without progress for so long is considered dead. */
  stallMs: number
  /** The same after the last byte, while the server completes the object. */
  finishStallMs: number
}

export interface Transfer {
  /** Equal for the same file. */
  fingerprint: string
  view(): TransferView
  /** Starts sending now. */
  run(): void
  /** Puts it into the queue. */
  queue(): void
  pause(): void
  /** Ends a wait: the network is back, there is a new token, or the user does not want to wait. */
  wake(): void
  /** Sends the file from here, although another device seems to be sending it. */
  takeOver(): void
  /** Stops, and leaves the upload on the server unchanged. Nothing runs or waits afterwards. */
  drop(): void
  /** After `failed`: resumes if the server still has the upload, else starts at zero. */
  retry(): void
  /** Stops, and deletes the upload on the server unless another tab or device sends it. @throws RequestError when the deletion fails */
  cancel(): Promise<void>
}

const offlineMs = 30_000
/** How often the confirmed offset is read while sending. Most files are sent before the first time. */
const confirmMs = 1000
/** The states in which this tab keeps the file lock. */
const keepsLock = new Set<TransferView['state']>(['queued', 'sending', 'finishing', 'waiting', 'elsewhere'])
const MiB = 1024 ** 2
const shorterBodies = [64 * MiB, 16 * MiB, 4 * MiB, MiB]

/**
 * The transfer of one file; `transfer-view` draws its states.
 * @param knownUrl URL of the upload that the caller has matched with this file; else the URL in `memory` is used
 * @param batch shared by files that were added together
 * @param changed called after every change of the view, with the previous view
 */
export function createTransfer(
  id: string,
  file: SendableFile,
  settings: TransferSettings,
  knownUrl: string | null,
  batch: string | null,
  changed: (before: TransferView) => void,
): Transfer {
  const { memory, endpoint, tus } = settings
  const fingerprint = fingerprintOf(file, settings.owner, endpoint)
  const speed = createSpeed()
  let stop = () => {}
  let timer: ReturnType<typeof setTimeout> | undefined
  let stall: ReturnType<typeof setTimeout> | undefined
  let polling: ReturnType<typeof setInterval> | undefined
  let lock: Release | null = null
  /** Consecutive attempts without progress. */
  let attempt = 0
  let bodySize = Number.POSITIVE_INFINITY
  /** The URL comes from an earlier visit, and the server has not confirmed it yet. */
  let isRecalled = true
  let usedToken: string | null = null
  let startedAt: number | null = null
  let activeMs = 0
  /** Incremented by every start and stop; callbacks of an earlier turn are ignored. */
  let turn = 0
  let view: TransferView = {
    id,
    file,
    state: 'queued',
    batch,
    addedAt: Date.now(),
    confirmed: 0,
    sent: 0,
    sender: null,
    resumedAt: 0,
    speed: null,
    timeLeftMs: null,
    failure: null,
    retryAt: null,
    url: knownUrl ?? memory.recall(fingerprint),
    isRestarted: false,
    durationMs: null,
  }

  function set(change: Partial<TransferView>): void {
    const before = view
    view = { ...view, ...change }
    if (!keepsLock.has(view.state)) {
      lock?.()
      lock = null
    }
    changed(before)
  }

  /** Enters a state in which nothing is sent. */
  function setIdle(change: Partial<TransferView>): void {
    set({ failure: null, retryAt: null, speed: null, timeLeftMs: null, sender: null, ...change })
  }

  /** Stops every request and timer. */
  function stopWork(): void {
    turn += 1
    clearTimeout(timer)
    clearTimeout(stall)
    clearInterval(polling)
    stop()
    stop = () => {}
    if (startedAt !== null) activeMs += Date.now() - startedAt
    startedAt = null
    speed.reset()
  }

  function run(isTakenOver = false): void {
    stopWork()
    usedToken = settings.token()
    if (usedToken === null) {
      setIdle({ state: 'unauthorized' })
      return
    }
    setIdle({ state: 'sending' })
    void acquireAndStart(turn, isTakenOver)
  }

  /** Starts sending unless another tab or device sends the file. */
  async function acquireAndStart(ownTurn: number, isTakenOver: boolean): Promise<void> {
    if (lock === null) {
      const acquired = await settings.locks.tryAcquire(fingerprint)
      if (turn !== ownTurn) return acquired?.()
      if (acquired === null) return waitForTab()
      lock = acquired
    }
    // If this page has sent to the upload before, no status is read: when another device has taken over, the server refuses the PATCH.
    if (isRecalled && view.url !== null && !isTakenOver) {
      const status = await settings.status(view.url)
      if (turn !== ownTurn) return
      if (status?.live) return waitForDevice()
    }
    start(ownTurn)
  }

  function start(ownTurn: number): void {
    startedAt = Date.now()
    const isResumed = view.url !== null
    let isFirst = true

    const token = () => (usedToken = settings.token())
    stop = startSending(
      { file, endpoint, url: view.url, bodySize, batch, token, tus },
      {
        created(url) {
          if (turn !== ownTurn && !canAdopt()) return void terminate(url, settings).catch(() => {})
          isRecalled = false
          memory.remember(fingerprint, url)
          set({ url })
        },
        progress(sent) {
          // The first progress of an attempt that resumes is the server's offset.
          if (isFirst && isResumed) resumeAt(sent)
          isFirst = false
          progress(sent)
        },
        confirmed: confirm,
        done: complete,
        failed: (failure) => void fail(failure),
      },
    )
    watch(settings.stallMs)
    polling = setInterval(() => void askOffset(ownTurn), confirmMs)
  }

  async function askOffset(ownTurn: number): Promise<void> {
    if (view.url === null) return
    const status = await settings.status(view.url)
    if (turn === ownTurn && status && status.offset > view.confirmed) confirm(status.offset)
  }

  function complete(): void {
    stopWork()
    if (view.url === null) memory.forget(fingerprint)
    else memory.markCompleted(fingerprint, view.url)
    setIdle({ state: 'completed', sent: file.size, confirmed: file.size, durationMs: activeMs || null })
  }

  /** Another tab holds the file lock: this one resumes when that tab has finished or is closed. */
  function waitForTab(): void {
    const ownTurn = turn
    const leave = new AbortController()
    stop = () => leave.abort()
    setIdle({ state: 'elsewhere', sender: 'tab' })
    settings.locks.acquire(fingerprint, leave.signal).then(
      (release) => {
        if (turn !== ownTurn) return release()
        stop = () => {}
        lock = release
        const completedUrl = memory.completedUrl(fingerprint)
        if (completedUrl !== null) set({ url: completedUrl })
        if (completedUrl !== null) return complete()
        isRecalled = true
        set({ url: view.url ?? memory.recall(fingerprint) })
        queue()
      },
      // Rejected because this transfer was stopped while it waited.
      () => {},
    )
  }

  /** Another device sends the upload: this page polls until the upload makes no progress. */
  function waitForDevice(): void {
    setIdle({ state: 'elsewhere', sender: 'device' })
    const read = async () => (view.url === null ? null : settings.status(view.url))
    stop = watchOtherDevice(view.confirmed, read, settings.pollMs, {
      completed: complete,
      gone: () => react(readFailure('HEAD', 410, '', null)),
      moved: (offset) => set({ confirmed: offset, sent: offset }),
      abandoned() {
        stopWork()
        queue()
      },
    })
  }

  /** Whether this transfer may use an upload that was created after the attempt had been stopped. */
  function canAdopt(): boolean {
    return view.url === null && !['sending', 'finishing', 'cancelled'].includes(view.state)
  }

  function resumeAt(offset: number): void {
    set({ sent: offset, ...(view.resumedAt === 0 && { resumedAt: offset }) })
    confirm(offset)
  }

  function confirm(offset: number): void {
    if (offset > view.confirmed) attempt = 0
    set({ confirmed: offset, sent: Math.max(view.sent, offset) })
  }

  function progress(sent: number): void {
    const now = Date.now()
    const isAllSent = sent >= file.size
    speed.record(sent, now)
    watch(isAllSent ? settings.finishStallMs : settings.stallMs)
    const rate = isAllSent ? null : speed.at(now)
    set({
      state: isAllSent ? 'finishing' : 'sending',
      sent,
      speed: rate,
      timeLeftMs: timeLeft(file.size - view.confirmed, rate),
    })
  }

  /** A dead connection may never report an error. */
  function watch(timeoutMs: number): void {
    clearTimeout(stall)
    stall = setTimeout(() => void fail(noAnswer('PATCH')), timeoutMs)
  }

  async function fail(failure: Failure): Promise<void> {
    stopWork()
    const ownTurn = turn
    // The browser reports a file that was changed or unplugged as a network error.
    const isUnreadable = failure.code === 'NO_ANSWER' && !(await isReadable(file))
    if (turn !== ownTurn) return
    react(isUnreadable ? { ...failure, code: 'FILE_UNREADABLE' } : failure)
  }

  function react(failure: Failure): void {
    const isTakenOver = failure.code === 'UPLOAD_LOCKED' && failure.method === 'PATCH' && view.url !== null
    const reaction = decideRetry(failure, attempt)
    const isLeftover = isRecalled && view.url !== null

    if (isTakenOver) {
      waitForDevice()
    } else if (reaction.kind === 'token' && usedToken === settings.token()) {
      setIdle({ state: 'unauthorized', failure })
    } else if (reaction.kind === 'token') {
      // There is a new token since the request with the old one was sent.
      run()
    } else if (reaction.kind === 'lost' && isLeftover) {
      // The URL is from an earlier visit and the server no longer has the upload: starting at zero loses nothing more.
      forget()
      set({ isRestarted: true })
      run()
    } else if (reaction.kind === 'smaller' && bodySize > shorterBodies.at(-1)!) {
      bodySize = shorterBodies.find((size) => size < bodySize)!
      run()
    } else if (reaction.kind === 'retry') {
      attempt += 1
      const isOnline = settings.isOnline()
      // A browser may report that it is offline and still reach this server, so it retries now and then.
      const afterMs = isOnline ? reaction.afterMs : offlineMs
      setIdle({ state: 'waiting', failure, retryAt: isOnline ? Date.now() + afterMs : null })
      timer = setTimeout(run, afterMs)
    } else {
      setIdle({ state: 'failed', failure })
    }
  }

  function forget(): void {
    memory.forget(fingerprint)
    isRecalled = false
    set({ url: null, sent: 0, confirmed: 0, resumedAt: 0 })
  }

  function queue(): void {
    setIdle({ state: 'queued' })
  }

  return {
    fingerprint,
    view: () => view,
    run,
    queue,
    takeOver() {
      if (view.state === 'elsewhere' && view.sender === 'device') run(true)
    },
    drop() {
      stopWork()
      setIdle({ state: 'cancelled' })
    },
    pause() {
      if (!canPause(view.state)) return
      stopWork()
      setIdle({ state: 'paused' })
    },
    wake() {
      if (view.state === 'waiting') run()
      if (view.state === 'unauthorized') queue()
    },
    retry() {
      if (view.state !== 'failed') return
      if (view.failure && decideRetry(view.failure, 0).kind === 'lost') forget()
      attempt = 0
      queue()
    },
    async cancel() {
      const isOwn = view.state !== 'elsewhere'
      stopWork()
      if (isOwn) memory.forget(fingerprint)
      setIdle({ state: 'cancelled' })
      if (isOwn && view.url !== null) await terminate(view.url, settings)
    },
  }
}

async function isReadable(file: SendableFile): Promise<boolean> {
  try {
    await file.slice(0, 1).arrayBuffer()
    return true
  } catch {
    return false
  }
}
