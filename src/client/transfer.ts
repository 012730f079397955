import type { UploadOptions } from 'tus-js-client'
import type { FileLocks, Release } from './file-locks.ts'
import { fingerprintOf, type UploadMemory } from './memory.ts'
import { type Failure, noAnswer, readFailure } from './request-error.ts'
import { chooseReaction } from './retry.ts'
import { startSending, terminate } from './sending.ts'
import { createSpeed, timeLeft } from './speed.ts'
import { canPause, type SendableFile, type TransferView } from './transfer-view.ts'

export interface TransferSettings {
  /** Absolute URL of the tus endpoint. */
  endpoint: string
  token: () => string | null
  /** Who sends; another user's memory is not used. */
  owner: string
  memory: UploadMemory
  isOnline: () => boolean
  /** Which tab of this browser sends a file. */
  locks: FileLocks
  /** What the server says of an upload at the moment; `null` when it did not answer. Asked about once a second for those that run. */
  status: (url: string) => Promise<UploadStatus | null>
  /** How often is looked at an upload that another device sends. */
  pollMs: number
  /** Passed on to tus-js-client. */
  tus?: Partial<UploadOptions> | undefined
  /** No byte moved for so long: the connection is dead, whatever it says. */
  stallMs: number
  /** The same once every byte is out and the server makes the object. */
  finishStallMs: number
}

/** How far an upload is, and whether a request is writing to it. */
export interface UploadStatus {
  state: 'receiving' | 'finishing' | 'completed' | 'gone'
  offset: number
  live: boolean
}

export interface Transfer {
  /** The same for the same file. */
  fingerprint: string
  view(): TransferView
  /** Runs it now. */
  run(): void
  /** Lets it be run. */
  queue(): void
  pause(): void
  /** Ends a wait: the network is back, there is a new token, or somebody is impatient. */
  wake(): void
  /** Sends it from here, although another device seems to be sending it. */
  takeOver(): void
  /** Stops, and leaves everything on the server as it is. Nothing of it runs or waits afterwards. */
  drop(): void
  /** After `failed`: goes on if the server still has the upload, else from the start. */
  retry(): void
  /** Stops and frees what the server keeps of it, unless another tab or device sends it. @throws Refusal when the server could not be told */
  cancel(): Promise<void>
}

const offlineMs = 30_000
/** What was confirmed is asked for so often while bytes flow. Most files are sent before the first time. */
const confirmMs = 1000
/** An upload that stood still for so many looks is not being sent any more: between two requests a client is still there. */
const unchangedPolls = 2
/** In these states the file stays this tab's, as far as other tabs are concerned. */
const keepsLock = new Set<TransferView['state']>(['queued', 'sending', 'finishing', 'waiting', 'elsewhere'])
const MiB = 1024 ** 2
const shorterBodies = [64 * MiB, 16 * MiB, 4 * MiB, MiB]

/**
 * One file's way to the server; its states are drawn in `transfer-view`.
 * @param known URL of an upload that this file belongs to, when somebody says so; else the memory is asked
 * @param batch the same for files that were given together
 * @param changed called after every change of the view, with the one before
 */
export function createTransfer(
  id: string,
  file: SendableFile,
  settings: TransferSettings,
  known: string | null,
  batch: string | null,
  changed: (before: TransferView) => void,
): Transfer {
  const { memory, endpoint, tus } = settings
  const fingerprint = fingerprintOf(file, settings.owner, endpoint)
  const speed = createSpeed()
  let stop = () => {}
  let timer: ReturnType<typeof setTimeout> | undefined
  let stall: ReturnType<typeof setTimeout> | undefined
  let asking: ReturnType<typeof setInterval> | undefined
  let lock: Release | null = null
  /** Tries in a row that brought nothing forward. */
  let attempt = 0
  let bodySize = Number.POSITIVE_INFINITY
  /** The upload comes from an earlier visit, and the server has not confirmed it yet. */
  let isRecalled = true
  let usedToken: string | null = null
  let startedAt: number | null = null
  let activeMs = 0
  /** Changes with every start and stop: what belongs to an earlier turn has nothing to say any more. */
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
    url: known ?? memory.recall(fingerprint),
    isAnew: false,
    tookMs: null,
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

  /** Goes to a state in which nothing moves. */
  function setIdle(change: Partial<TransferView>): void {
    set({ failure: null, retryAt: null, speed: null, timeLeftMs: null, sender: null, ...change })
  }

  /** Leaves nothing behind that runs or waits. */
  function stopWork(): void {
    turn += 1
    clearTimeout(timer)
    clearTimeout(stall)
    clearInterval(asking)
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
    void begin(turn, isTakenOver)
  }

  /** Sends, unless another tab or device does. */
  async function begin(mine: number, isTakenOver: boolean): Promise<void> {
    if (lock === null) {
      const taken = await settings.locks.tryAcquire(fingerprint)
      if (turn !== mine) return taken?.()
      if (taken === null) return waitForTab()
      lock = taken
    }
    // Of an upload that this page has sent to before, only the server's refusal says that another device has taken it over.
    if (isRecalled && view.url !== null && !isTakenOver) {
      const status = await settings.status(view.url)
      if (turn !== mine) return
      if (status?.live) return waitForDevice()
    }
    start(mine)
  }

  function start(mine: number): void {
    startedAt = Date.now()
    const isResumed = view.url !== null
    let isFirst = true

    const token = () => (usedToken = settings.token())
    stop = startSending(
      { file, endpoint, url: view.url, bodySize, batch, token, tus },
      {
        created(url) {
          if (turn !== mine && !canAdopt()) return void terminate(url, settings).catch(() => {})
          isRecalled = false
          memory.remember(fingerprint, url)
          set({ url })
        },
        progress(sent) {
          // The first word of a try that goes on is the server's own offset.
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
    asking = setInterval(() => void askOffset(mine), confirmMs)
  }

  async function askOffset(mine: number): Promise<void> {
    if (view.url === null) return
    const status = await settings.status(view.url)
    if (turn === mine && status && status.offset > view.confirmed) confirm(status.offset)
  }

  function complete(): void {
    stopWork()
    if (view.url === null) memory.forget(fingerprint)
    else memory.markArrived(fingerprint, view.url)
    setIdle({ state: 'completed', sent: file.size, confirmed: file.size, tookMs: activeMs || null })
  }

  /** Another tab has the file: this one goes on when that one is through with it, or closed. */
  function waitForTab(): void {
    const mine = turn
    const leave = new AbortController()
    stop = () => leave.abort()
    setIdle({ state: 'elsewhere', sender: 'tab' })
    settings.locks.acquire(fingerprint, leave.signal).then(
      (release) => {
        if (turn !== mine) return release()
        stop = () => {}
        lock = release
        const arrived = memory.arrived(fingerprint)
        if (arrived !== null) set({ url: arrived })
        if (arrived !== null) return complete()
        isRecalled = true
        set({ url: view.url ?? memory.recall(fingerprint) })
        queue()
      },
      // This transfer was stopped while it waited.
      () => {},
    )
  }

  /** Another device sends the upload: this page looks at it until it stands still. */
  function waitForDevice(): void {
    const mine = turn
    let still = 0
    setIdle({ state: 'elsewhere', sender: 'device' })
    asking = setInterval(() => void poll(), settings.pollMs)

    async function poll(): Promise<void> {
      const status = view.url === null ? null : await settings.status(view.url)
      if (turn !== mine || status === null) return
      if (status.state === 'completed') return complete()
      if (status.state === 'gone') return react(readFailure('HEAD', 410, '', null))
      const isStill = status.state === 'receiving' && !status.live && status.offset === view.confirmed
      still = isStill ? still + 1 : 0
      if (status.offset !== view.confirmed) set({ confirmed: status.offset, sent: status.offset })
      if (still < unchangedPolls) return
      stopWork()
      queue()
    }
  }

  /** Whether an upload that was made after its try had been stopped is the one to go on with. */
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
    const isOut = sent >= file.size
    speed.saw(sent, now)
    watch(isOut ? settings.finishStallMs : settings.stallMs)
    const rate = isOut ? null : speed.at(now)
    set({
      state: isOut ? 'finishing' : 'sending',
      sent,
      speed: rate,
      timeLeftMs: timeLeft(file.size - view.confirmed, rate),
    })
  }

  /** A dead connection can stay silent for ever. */
  function watch(patienceMs: number): void {
    clearTimeout(stall)
    stall = setTimeout(() => void fail(noAnswer('PATCH')), patienceMs)
  }

  async function fail(failure: Failure): Promise<void> {
    stopWork()
    const mine = turn
    // To the browser a file that was changed or unplugged looks like a dead network.
    const isUnreadable = failure.code === 'NO_ANSWER' && !(await isReadable(file))
    if (turn !== mine) return
    react(isUnreadable ? { ...failure, code: 'FILE_UNREADABLE' } : failure)
  }

  function react(failure: Failure): void {
    const isTakenOver = failure.code === 'UPLOAD_LOCKED' && failure.method === 'PATCH' && view.url !== null
    const reaction = chooseReaction(failure, attempt)
    const isLeftover = isRecalled && view.url !== null

    if (isTakenOver) {
      waitForDevice()
    } else if (reaction.kind === 'token' && usedToken === settings.token()) {
      setIdle({ state: 'unauthorized', failure })
    } else if (reaction.kind === 'token') {
      // Somebody brought another token while the old one was being refused.
      run()
    } else if (reaction.kind === 'lost' && isLeftover) {
      // From an earlier visit, and given up by the server since: nothing more is lost by beginning anew.
      forget()
      set({ isAnew: true })
      run()
    } else if (reaction.kind === 'smaller' && bodySize > shorterBodies.at(-1)!) {
      bodySize = shorterBodies.find((size) => size < bodySize)!
      run()
    } else if (reaction.kind === 'again') {
      attempt += 1
      const isOnline = settings.isOnline()
      // A browser may call itself offline and still reach this server; so it looks now and then all the same.
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
      if (view.failure && chooseReaction(view.failure, 0).kind === 'lost') forget()
      attempt = 0
      queue()
    },
    async cancel() {
      const isOurs = view.state !== 'elsewhere'
      stopWork()
      if (isOurs) memory.forget(fingerprint)
      setIdle({ state: 'cancelled' })
      if (isOurs && view.url !== null) await terminate(view.url, settings)
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
