import { computed, signal } from '@preact/signals'
import { fileLocks } from '../../client/file-locks.ts'
import { fingerprintOf, memoryOn } from '../../client/memory.ts'
import type { UploadStatus } from '../../client/other-device.ts'
import { RequestError } from '../../client/request-error.ts'
import { isOver, type TransferView } from '../../client/transfer-view.ts'
import { uploadIdOf } from '../../client/upload-id.ts'
import { createUploads } from '../../client/uploads.ts'
import type { OwnUpload } from '../../contract/upload.ts'
import { announce } from '../ui/announcer.tsx'
import { explainFile } from '../ui/messages.ts'
import { server } from '../ui/server.ts'
import { deviceStorage } from '../ui/storage.ts'
import { visible } from '../ui/visible.ts'
import { listed, refresh, refreshSoon } from './list-store.ts'
import { api, currentToken, onSignIn, onSignOut, owner, requireSignIn, signInChecked } from './session.ts'

// The transfers of this page, as signals.

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

/** Asks whether a file belongs to an incomplete upload of the same name and size. */
export interface ResumePrompt {
  id: string
  file: File
  upload: OwnUpload
  batch: string | undefined
}

export const transfers = signal<TransferView[]>([])
export const resumePrompts = signal<ResumePrompt[]>([])
/** Uploads that other tabs of this browser are sending. */
export const otherTabs = signal<ReadonlySet<string>>(new Set())

/** The number of the first transfer of this round. A round starts when files are added while no transfer is open. */
const roundStarts = signal(0)

/** Totals of the transfers of this round. */
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
  // Not requestAnimationFrame: a page in the background must update its title. With many transfers updates are less frequent.
  setTimeout(show, Math.min(400, 60 + transfers.peek().length / 40))
})

function show(): void {
  const before = new Map(transfers.peek().map((view) => [view.id, view.state]))
  transfers.value = uploads.views()
  for (const transfer of transfers.peek())
    if (changed.has(transfer.id)) onStateChange(transfer, before.get(transfer.id))
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

/** Adds files. A file that this browser has sent before resumes; for one that matches an upload of another browser the user is asked. */
export async function send(files: Iterable<File>): Promise<void> {
  const added = [...files]
  await signInChecked
  if (added.length === 0) return
  const batch = added.length > 1 || added[0]!.webkitRelativePath ? randomId() : undefined
  let similarUpload = findSimilar(0)
  // The list may have been loaded before the last bytes were received.
  if (added.some((file) => similarUpload(file))) await refresh()
  similarUpload = findSimilar(1)
  const prompts: ResumePrompt[] = []
  if (!transfers.peek().some(({ state }) => !isOver(state)))
    roundStarts.value = numberOf(transfers.peek().at(-1)?.id) + 1
  uploads.batchChanges(() => {
    for (const file of added) {
      const upload = similarUpload(file)
      if (upload) prompts.push({ id: randomId(), file, upload, batch })
      else uploads.add(file, undefined, batch)
    }
  })
  if (prompts.length > 0) resumePrompts.value = [...resumePrompts.peek(), ...prompts]
}

/** Answers a prompt: the file resumes the upload, becomes another upload, or is not sent. */
export function answerPrompt(prompt: ResumePrompt, choice: 'same' | 'another' | 'none'): void {
  resumePrompts.value = resumePrompts.peek().filter(({ id }) => id !== prompt.id)
  if (choice === 'none') return
  uploads.add(prompt.file, choice === 'same' ? urlOf(prompt.upload.id) : undefined, prompt.batch)
}

/** Resumes `upload` with the file that the user has chosen for it. Returns an error message when the size differs. */
export function resumeWithFile(upload: OwnUpload, file: File): string | null {
  if (file.size !== upload.size)
    return `This is another file: its size differs from that of “${visible(upload.filename)}”. Choose the original file.`
  uploads.add(file, urlOf(upload.id))
  return null
}

/** Updates `otherTabs` from the file locks of the browser. */
export async function checkOtherTabs(): Promise<void> {
  const held = await locks.heldByOthers().catch(() => [])
  const urls = held.map((fingerprint) => memory.recall(fingerprint))
  const ids = new Set(urls.flatMap((url) => (url === null ? [] : [uploadIdOf(url)])))
  if (ids.size > 0 || otherTabs.peek().size > 0) otherTabs.value = ids
}

/** Finds the incomplete upload that a file seems to belong to, with at least `minOffset` bytes. Files with a remembered URL have none. */
function findSimilar(minOffset: number): (file: File) => OwnUpload | undefined {
  const active = new Set(
    transfers.peek().flatMap(({ url, state }) => (url === null || isOver(state) ? [] : [uploadIdOf(url)])),
  )
  const open = new Map<string, OwnUpload>()
  for (const upload of listed.peek()) {
    if (upload.state !== 'receiving' || upload.offset < minOffset || active.has(upload.id)) continue
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

/** Announces a change of state and reacts to it. */
function onStateChange(transfer: TransferView, before: TransferView['state'] | undefined): void {
  const { state } = transfer
  if (state === before) return
  const name = visible(transfer.file.name)
  if (state === 'unauthorized' && transfer.failure) requireSignIn()
  if (state === 'completed') announce(`${name}: upload completed.`)
  if (state === 'failed') announce(`${name}: upload failed. ${explainFile(transfer)}`)
  if (state === 'waiting') announce(`${name} is waiting for the network and resumes automatically.`)
  if (state === 'sending' && before === 'waiting') announce(`${name}: upload resumed.`)
  if (state === 'elsewhere') announce(`${name} is being uploaded in another tab or on another device.`)
  // The page knows the state of its own transfers, so the list is refreshed only after the last one.
  if (state === 'completed' && round.peek().open === 0) refreshSoon()
}

/** Transfers are numbered in the order in which they were added. */
function numberOf(id: string | undefined): number {
  return Number(id?.slice(1) ?? 0)
}

/** `crypto.randomUUID` is missing on pages without TLS. */
function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(12))
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}
