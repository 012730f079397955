import { computed, signal } from '@preact/signals'
import type { ListedUpload } from '../../client/api.ts'
import { fileLocks } from '../../client/file-locks.ts'
import { fingerprintOf, memoryOn } from '../../client/memory.ts'
import { RequestError } from '../../client/request-error.ts'
import type { UploadStatus } from '../../client/transfer.ts'
import { isOver, type TransferView } from '../../client/transfer-view.ts'
import { uploadIdOf } from '../../client/upload-id.ts'
import { createUploads } from '../../client/uploads.ts'
import { announce } from './announcer.tsx'
import { listed, refresh, refreshSoon } from './list-store.ts'
import { explainFile } from './messages.ts'
import { server } from './server.ts'
import { api, currentToken, onSignIn, onSignOut, owner, renew, signedIn } from './session.ts'
import { deviceStorage } from './storage.ts'
import { visible } from './visible.ts'

// What this page is sending, as signals.

export const endpoint = new URL('files', server).href
const memory = memoryOn(deviceStorage)
const locks = fileLocks(navigator.locks)

export const uploads = createUploads({
  endpoint,
  token: currentToken,
  owner,
  memory,
  locks,
  status: statusOf,
  isOnline: () => navigator.onLine,
})

/** A file that looks like one whose upload was begun elsewhere: only its owner can say whether it is. */
export interface ResumePrompt {
  id: string
  file: File
  upload: ListedUpload
  batch: string | undefined
}

export const transfers = signal<TransferView[]>([])
export const resumePrompts = signal<ResumePrompt[]>([])
/** Uploads that other tabs of this browser are sending. */
export const otherTabs = signal<ReadonlySet<string>>(new Set())

/** Transfers before this one belong to an earlier round: nothing was on its way when the next file was given. */
const roundStarts = signal(0)

/** What is on its way in this round, together. */
export const round = computed(() => {
  const all = transfers.value.filter(({ id }) => numberOf(id) >= roundStarts.value)
  const sum = { size: 0, confirmed: 0, speed: 0, open: 0, paused: 0, failed: 0, completed: 0 }
  for (const { state, file, confirmed, speed } of all) {
    if (state === 'failed') sum.failed += 1
    else if (state === 'completed') sum.completed += 1
    else sum.open += 1
    if (state === 'paused') sum.paused += 1
    if (state === 'failed') continue
    sum.size += file.size
    sum.confirmed += confirmed
    sum.speed += speed ?? 0
  }
  return sum
})

const changed = new Set<string>()
uploads.subscribe((id) => {
  changed.add(id)
  if (changed.size > 1) return
  // Not requestAnimationFrame: the title of a page in the background goes on counting. The more there are, the rarer.
  setTimeout(show, Math.min(400, 60 + transfers.peek().length / 40))
})

function show(): void {
  const before = new Map(transfers.peek().map((view) => [view.id, view.state]))
  transfers.value = uploads.views()
  for (const transfer of transfers.peek()) if (changed.has(transfer.id)) notice(transfer, before.get(transfer.id))
  changed.clear()
}

onSignIn(() => {
  uploads.wake()
  void checkOtherTabs()
})
onSignOut(() => {
  uploads.clear()
  transfers.value = []
  resumePrompts.value = []
})

/** Takes files in. One that was begun in this browser goes on by itself; one that looks begun elsewhere is asked about. */
export async function send(files: Iterable<File>): Promise<void> {
  const given = [...files]
  await signedIn
  if (given.length === 0) return
  const batch = given.length > 1 || given[0]!.webkitRelativePath ? randomId() : undefined
  let lookalike = findSimilar(0)
  // The list may be older than the last bytes that arrived.
  if (given.some((file) => lookalike(file))) await refresh()
  lookalike = findSimilar(1)
  const asked: ResumePrompt[] = []
  if (!transfers.peek().some(({ state }) => !isOver(state)))
    roundStarts.value = numberOf(transfers.peek().at(-1)?.id) + 1
  uploads.together(() => {
    for (const file of given) {
      const upload = lookalike(file)
      if (upload) asked.push({ id: randomId(), file, upload, batch })
      else uploads.add(file, undefined, batch)
    }
  })
  if (asked.length > 0) resumePrompts.value = [...resumePrompts.peek(), ...asked]
}

/** Answers a question: the file goes on where the upload stopped, becomes an upload of its own, or is not sent. */
export function answerPrompt(question: ResumePrompt, choice: 'same' | 'another' | 'none'): void {
  resumePrompts.value = resumePrompts.peek().filter(({ id }) => id !== question.id)
  if (choice === 'none') return
  uploads.add(question.file, choice === 'same' ? urlOf(question.upload.id) : undefined, question.batch)
}

/** Goes on with `upload`; the person says this is its file. Returns what speaks against it, in words. */
export function resumeWithFile(upload: ListedUpload, file: File): string | null {
  if (file.size !== upload.size) return `This is another file: its size is not that of “${visible(upload.filename)}”.`
  uploads.add(file, urlOf(upload.id))
  return null
}

/** Asks the browser which of the user's uploads other tabs are sending. */
export async function checkOtherTabs(): Promise<void> {
  const held = await locks.heldByOthers().catch(() => [])
  const urls = held.map((fingerprint) => memory.recall(fingerprint))
  const ids = new Set(urls.flatMap((url) => (url === null ? [] : [uploadIdOf(url)])))
  if (ids.size > 0 || otherTabs.peek().size > 0) otherTabs.value = ids
}

/** Finds the unfinished upload of `leastOffset` bytes or more that a file seems to belong to, unless this browser knows better. */
function findSimilar(leastOffset: number): (file: File) => ListedUpload | undefined {
  const underWay = new Set(
    transfers.peek().flatMap(({ url, state }) => (url === null || isOver(state) ? [] : [uploadIdOf(url)])),
  )
  const open = new Map<string, ListedUpload>()
  for (const upload of listed.peek()) {
    if (upload.state !== 'receiving' || upload.offset < leastOffset || underWay.has(upload.id)) continue
    const key = `${upload.size} ${upload.filename.normalize()}`
    if (!open.has(key)) open.set(key, upload)
  }
  return (file) => {
    const found = open.get(`${file.size} ${file.name.normalize()}`)
    if (found && memory.recall(fingerprintOf(file, owner(), endpoint)) === null) return found
    return undefined
  }
}

function urlOf(id: string): string {
  return `${endpoint}/${id}`
}

async function statusOf(url: string): Promise<UploadStatus | null> {
  try {
    const { state, offset, live } = await api.upload(uploadIdOf(url))
    const isGone = state === 'cancelled' || state === 'expired' || state === 'failed'
    return { state: isGone ? 'gone' : state, offset, live }
  } catch (thrown) {
    const status = thrown instanceof RequestError ? thrown.failure.status : null
    return status === 404 || status === 410 ? { state: 'gone', offset: 0, live: false } : null
  }
}

/** What follows from a change of state. */
function notice(transfer: TransferView, before: TransferView['state'] | undefined): void {
  const { state } = transfer
  if (state === before) return
  const name = visible(transfer.file.name)
  if (state === 'unauthorized' && transfer.failure) renew()
  if (state === 'completed') announce(`${name}: upload completed.`)
  if (state === 'failed') announce(`${name}: upload failed. ${explainFile(transfer)}`)
  if (state === 'waiting') announce(`${name} is waiting for the network and resumes by itself.`)
  if (state === 'sending' && before === 'waiting') announce(`${name}: upload resumed.`)
  if (state === 'elsewhere') announce(`${name} is being uploaded in another tab or on another device.`)
  // What this page sends it knows itself; the server's list is asked for when it is through.
  if (state === 'completed' && round.peek().open === 0) refreshSoon()
}

/** Transfers are numbered in the order in which they were given. */
function numberOf(id: string | undefined): number {
  return Number(id?.slice(1) ?? 0)
}

/** Not `crypto.randomUUID`, which pages without TLS do not have. */
function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(12))
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}
