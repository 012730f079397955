import { DetailedError, Upload, type UploadOptions } from 'tus-js-client'
import { type FileFacts, fingerprintOf, type Memory } from './memory.ts'
import { type Failure, noAnswer, readFailure } from './refusal.ts'
import { judge } from './retry.ts'
import { createSpeed, timeLeft } from './speed.ts'

// A transfer is one file on its way out of this browser; the upload it fills lives on the server.
//
//   queued → sending → finishing → completed
//              ↓ ↑         ↓
//            waiting · unauthorized · paused      (go on at the recorded offset)
//            failed                               (only by a person's wish: retry)
//            cancelled
//
// tus-js-client sends, and nothing more: left to itself it answers a failed HEAD, a 401 and a 503 among them, by forgetting
// the upload and starting at zero. So every run gets either the endpoint (no upload yet) or the upload's URL, never
// both, and all retrying and remembering is done here, where it can be shown.

export type TransferState =
  | 'queued'
  | 'sending'
  | 'finishing'
  | 'waiting'
  | 'unauthorized'
  | 'paused'
  | 'completed'
  | 'failed'
  | 'cancelled'

/** What a page shows of a transfer; a new object whenever something in it changed. */
export interface TransferView {
  id: string
  file: SendableFile
  state: TransferState
  /** Bytes on the server or on their way to it. */
  sent: number
  /** Where this browser went on, when it did not begin at zero. */
  resumedAt: number
  speed: number | null
  timeLeftMs: number | null
  /** Why it waits or failed. */
  failure: Failure | null
  /** When it tries again by itself; `null` while it waits for the network to come back. */
  retryAt: number | null
  /** `null` until the server knows of the upload. */
  url: string | null
  /** The server had given the earlier upload up, so this one began anew. */
  isAnew: boolean
  tookMs: number | null
}

/** A browser's File, or something that can be read like one. */
export type SendableFile = FileFacts & { slice(start: number, end: number): { arrayBuffer(): Promise<ArrayBuffer> } }

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
  view(): TransferView
  /** Runs it, when it is queued. */
  run(): void
  queue(): void
  pause(): void
  /** Ends a wait: the network is back, there is a new token, or somebody is impatient. */
  wake(): void
  /** After `failed`: goes on if the server still has the upload, else from the start. */
  retry(): void
  /** Stops and frees what the server keeps of it. */
  cancel(): Promise<void>
}

const offlineMs = 30_000
const MiB = 1024 ** 2
const shorterBodies = [64 * MiB, 16 * MiB, 4 * MiB, MiB]

/**
 * One file's way to the server.
 * @param known URL of an upload that this file belongs to, when somebody says so; else the memory is asked
 * @param changed called after every change of the view
 */
export function createTransfer(
  id: string,
  file: SendableFile,
  settings: TransferSettings,
  known: string | null,
  changed: (transfer: Transfer) => void,
): Transfer {
  const { memory, endpoint } = settings
  const fingerprint = fingerprintOf(file, settings.owner, endpoint)
  const speed = createSpeed()
  let upload: Upload | null = null
  let timer: ReturnType<typeof setTimeout> | undefined
  let stall: ReturnType<typeof setTimeout> | undefined
  let attempt = 0
  let bodySize = Number.POSITIVE_INFINITY
  /** The upload comes from an earlier visit, and the server has not confirmed it yet. */
  let isRecalled = true
  let usedToken: string | null = null
  let startedAt: number | null = null
  /** Time spent sending, pauses and waits left out. */
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
    changed(transfer)
  }

  /** Nothing that runs or waits is left behind. */
  function halt(): void {
    clearTimeout(timer)
    clearTimeout(stall)
    void upload?.abort()
    upload = null
    turn += 1
    if (startedAt !== null) activeMs += Date.now() - startedAt
    startedAt = null
    speed.reset()
  }

  function run(): void {
    halt()
    usedToken = settings.token()
    if (usedToken === null) {
      set({ state: 'unauthorized', failure: null })
      return
    }
    startedAt = Date.now()
    const isResumed = view.url !== null
    let isFirstProgress = true
    set({ state: 'sending', failure: null, retryAt: null, speed: null, timeLeftMs: null })

    const current = new Upload(file as File, {
      ...settings.tus,
      endpoint: isResumed ? null : endpoint,
      uploadUrl: view.url,
      metadata: metadataOf(file),
      chunkSize: Math.min(settings.tus?.chunkSize ?? bodySize, bodySize),
      retryDelays: null,
      storeFingerprintForResuming: false,
      onBeforeRequest(request) {
        usedToken = settings.token()
        request.setHeader('Authorization', `Bearer ${usedToken}`)
      },
      onUploadUrlAvailable() {
        if (upload !== current || current.url === null) return
        isRecalled = false
        memory.remember(fingerprint, current.url)
        set({ url: current.url })
      },
      onProgress(sent) {
        if (upload !== current) return
        if (isFirstProgress && isResumed && view.resumedAt === 0) set({ resumedAt: sent })
        if (!isFirstProgress && sent > view.sent) attempt = 0
        isFirstProgress = false
        progress(sent)
      },
      onSuccess() {
        if (upload !== current) return
        halt()
        memory.forget(fingerprint)
        set({ state: 'completed', sent: file.size, speed: null, timeLeftMs: null, tookMs: activeMs, failure: null })
      },
      onError(error) {
        if (upload !== current) return
        void fail(toFailure(error))
      },
    })
    upload = current
    current.start()
    watch(settings.stallMs)
  }

  function progress(sent: number): void {
    const now = Date.now()
    speed.saw(sent, now)
    const isOut = sent >= file.size
    watch(isOut ? settings.finishStallMs : settings.stallMs)
    const rate = isOut ? null : speed.at(now)
    set({
      state: isOut ? 'finishing' : 'sending',
      sent,
      speed: rate,
      timeLeftMs: timeLeft(file.size - sent, rate),
    })
  }

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
    const stopped = { failure, speed: null, timeLeftMs: null, retryAt: null }
    const isLeftover = isRecalled && view.url !== null

    if (verdict.kind === 'token' && usedToken === settings.token()) {
      set({ ...stopped, state: 'unauthorized' })
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
      set({ ...stopped, state: 'waiting', retryAt: isOnline ? Date.now() + afterMs : null })
      timer = setTimeout(run, afterMs)
    } else {
      set({ ...stopped, state: 'failed' })
    }
  }

  function forget(): void {
    memory.forget(fingerprint)
    isRecalled = false
    set({ url: null, sent: 0, resumedAt: 0 })
  }

  const transfer: Transfer = {
    view: () => view,
    run,
    queue() {
      set({ state: 'queued', failure: null, retryAt: null })
    },
    pause() {
      if (!mayPause(view.state)) return
      halt()
      set({ state: 'paused', speed: null, timeLeftMs: null, failure: null, retryAt: null })
    },
    wake() {
      if (view.state === 'waiting') run()
      if (view.state === 'unauthorized') transfer.queue()
    },
    retry() {
      if (view.state !== 'failed') return
      const isLost = view.failure !== null && judge(view.failure, 0).kind === 'lost'
      if (isLost) forget()
      attempt = 0
      transfer.queue()
    },
    async cancel() {
      const { url } = view
      halt()
      memory.forget(fingerprint)
      set({ state: 'cancelled' })
      if (url === null) return
      const headers = { Authorization: `Bearer ${settings.token()}` }
      await Upload.terminate(url, { ...settings.tus, headers, retryDelays: null })
    },
  }
  return transfer
}

/** Whether pausing means anything in this state. */
export function mayPause(state: TransferState): boolean {
  return ['queued', 'sending', 'finishing', 'waiting', 'unauthorized'].includes(state)
}

/** Whether it is over, well or badly. */
export function isOver(state: TransferState): boolean {
  return state === 'completed' || state === 'cancelled' || state === 'failed'
}

function metadataOf(file: SendableFile & { webkitRelativePath?: string }): Record<string, string> {
  const relativePath = file.webkitRelativePath
  return { filename: file.name, ...(file.type && { filetype: file.type }), ...(relativePath && { relativePath }) }
}

function toFailure(error: Error | DetailedError): Failure {
  if (!(error instanceof DetailedError)) return { ...noAnswer('READ'), code: 'FILE_UNREADABLE', message: error.message }
  const { originalRequest: request, originalResponse: response } = error
  if (!response) return noAnswer(request.getMethod())
  const retryAfter = response.getHeader('Retry-After') ?? null
  return readFailure(request.getMethod(), response.getStatus(), response.getBody() ?? '', retryAfter)
}

async function isReadable(file: SendableFile): Promise<boolean> {
  try {
    await file.slice(0, 1).arrayBuffer()
    return true
  } catch {
    return false
  }
}
