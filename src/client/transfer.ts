import type { UploadOptions } from 'tus-js-client'
import { fingerprintOf, type Memory } from './memory.ts'
import { type Failure, noAnswer } from './refusal.ts'
import { judge } from './retry.ts'
import { startSending, terminate } from './sending.ts'
import { createSpeed, timeLeft } from './speed.ts'
import { mayPause, type SendableFile, type TransferView } from './transfer-view.ts'

export interface TransferSettings {
  /** Absolute URL of the tus endpoint. */
  endpoint: string
  token: () => string | null
  /** Who sends; another user's memory is not used. */
  owner: string
  memory: Memory
  isOnline: () => boolean
  /** Passed on to tus-js-client. */
  tus?: Partial<UploadOptions> | undefined
  /** No byte moved for so long: the connection is dead, whatever it says. */
  stallMs: number
  /** The same once every byte is out and the server makes the object. */
  finishStallMs: number
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
  /** After `failed`: goes on if the server still has the upload, else from the start. */
  retry(): void
  /** Stops and frees what the server keeps of it. @throws Refusal when the server could not be told */
  cancel(): Promise<void>
}

const offlineMs = 30_000
const MiB = 1024 ** 2
const shorterBodies = [64 * MiB, 16 * MiB, 4 * MiB, MiB]

/**
 * One file's way to the server; its states are drawn in `transfer-view`.
 * @param known URL of an upload that this file belongs to, when somebody says so; else the memory is asked
 * @param changed called after every change of the view
 */
export function createTransfer(
  id: string,
  file: SendableFile,
  settings: TransferSettings,
  known: string | null,
  changed: () => void,
): Transfer {
  const { memory, endpoint, tus } = settings
  const fingerprint = fingerprintOf(file, settings.owner, endpoint)
  const speed = createSpeed()
  let stop = () => {}
  let timer: ReturnType<typeof setTimeout> | undefined
  let stall: ReturnType<typeof setTimeout> | undefined
  /** Tries in a row that brought nothing forward. */
  let attempt = 0
  /** The offset that the server last told. */
  let confirmed = 0
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
    sent: 0,
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
    view = { ...view, ...change }
    changed()
  }

  /** Goes to a state in which nothing moves. */
  function rest(change: Partial<TransferView>): void {
    set({ failure: null, retryAt: null, speed: null, timeLeftMs: null, ...change })
  }

  /** Leaves nothing behind that runs or waits. */
  function halt(): void {
    turn += 1
    clearTimeout(timer)
    clearTimeout(stall)
    stop()
    stop = () => {}
    if (startedAt !== null) activeMs += Date.now() - startedAt
    startedAt = null
    speed.reset()
  }

  function run(): void {
    halt()
    usedToken = settings.token()
    if (usedToken === null) {
      rest({ state: 'unauthorized' })
      return
    }
    startedAt = Date.now()
    const isResumed = view.url !== null
    let isFirst = true
    rest({ state: 'sending' })
    const mine = turn

    const token = () => (usedToken = settings.token())
    stop = startSending(
      { file, endpoint, url: view.url, bodySize, token, tus },
      {
        known(url) {
          if (turn !== mine && !mayAdopt()) return void terminate(url, settings).catch(() => {})
          isRecalled = false
          memory.remember(fingerprint, url)
          set({ url })
        },
        progress(sent) {
          // The first word of a try that goes on is the server's own offset.
          if (isFirst && isResumed) confirm(sent)
          isFirst = false
          progress(sent)
        },
        done() {
          halt()
          memory.forget(fingerprint)
          rest({ state: 'completed', sent: file.size, tookMs: activeMs })
        },
        failed: (failure) => void fail(failure),
      },
    )
    watch(settings.stallMs)
  }

  /** Whether an upload that was made after its try had been stopped is the one to go on with. */
  function mayAdopt(): boolean {
    return view.url === null && !['sending', 'finishing', 'cancelled'].includes(view.state)
  }

  function confirm(offset: number): void {
    if (offset > confirmed) attempt = 0
    confirmed = offset
    if (view.resumedAt === 0) set({ resumedAt: offset })
  }

  function progress(sent: number): void {
    const now = Date.now()
    const isOut = sent >= file.size
    speed.saw(sent, now)
    watch(isOut ? settings.finishStallMs : settings.stallMs)
    const rate = isOut ? null : speed.at(now)
    set({ state: isOut ? 'finishing' : 'sending', sent, speed: rate, timeLeftMs: timeLeft(file.size - sent, rate) })
  }

  /** A dead connection can stay silent for ever. */
  function watch(patienceMs: number): void {
    clearTimeout(stall)
    stall = setTimeout(() => void fail(noAnswer('PATCH')), patienceMs)
  }

  async function fail(failure: Failure): Promise<void> {
    halt()
    const mine = turn
    // To the browser a file that was changed or unplugged looks like a dead network.
    const isUnreadable = failure.code === 'NO_ANSWER' && !(await isReadable(file))
    if (turn !== mine) return
    follow(isUnreadable ? { ...failure, code: 'FILE_UNREADABLE' } : failure)
  }

  function follow(failure: Failure): void {
    const verdict = judge(failure, attempt)
    const isLeftover = isRecalled && view.url !== null

    if (verdict.kind === 'token' && usedToken === settings.token()) {
      rest({ state: 'unauthorized', failure })
    } else if (verdict.kind === 'token') {
      // Somebody brought another token while the old one was being refused.
      run()
    } else if (verdict.kind === 'lost' && isLeftover) {
      // From an earlier visit, and given up by the server since: nothing more is lost by beginning anew.
      forget()
      set({ isAnew: true })
      run()
    } else if (verdict.kind === 'smaller' && bodySize > shorterBodies.at(-1)!) {
      bodySize = shorterBodies.find((size) => size < bodySize)!
      run()
    } else if (verdict.kind === 'again') {
      attempt += 1
      const isOnline = settings.isOnline()
      // A browser may call itself offline and still reach this server; so it looks now and then all the same.
      const afterMs = isOnline ? verdict.afterMs : offlineMs
      rest({ state: 'waiting', failure, retryAt: isOnline ? Date.now() + afterMs : null })
      timer = setTimeout(run, afterMs)
    } else {
      rest({ state: 'failed', failure })
    }
  }

  function forget(): void {
    memory.forget(fingerprint)
    isRecalled = false
    set({ url: null, sent: 0, resumedAt: 0 })
  }

  function queue(): void {
    rest({ state: 'queued' })
  }

  return {
    fingerprint,
    view: () => view,
    run,
    queue,
    pause() {
      if (!mayPause(view.state)) return
      halt()
      rest({ state: 'paused' })
    },
    wake() {
      if (view.state === 'waiting') run()
      if (view.state === 'unauthorized') queue()
    },
    retry() {
      if (view.state !== 'failed') return
      if (view.failure && judge(view.failure, 0).kind === 'lost') forget()
      attempt = 0
      queue()
    },
    async cancel() {
      halt()
      memory.forget(fingerprint)
      rest({ state: 'cancelled' })
      if (view.url !== null) await terminate(view.url, settings)
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
