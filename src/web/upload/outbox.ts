import { computed, signal } from '@preact/signals'
import type { ListedUpload } from '../../client/api.ts'
import { fingerprintOf, memoryOn } from '../../client/memory.ts'
import { isOver, type TransferView } from '../../client/transfer-view.ts'
import { createUploads } from '../../client/uploads.ts'
import { say } from './announcer.tsx'
import { listed, refresh, refreshSoon } from './listing.ts'
import { currentToken, entered, me, onEnter, renew } from './session.ts'
import { deviceShelf } from './shelves.ts'
import { explainFile } from './words.ts'

// What this page is sending, as signals.

const endpoint = new URL('/files', location.href).href
const memory = memoryOn(deviceShelf)
const owner = () => me.peek()?.user ?? ''

export const uploads = createUploads({
  endpoint,
  token: currentToken,
  owner,
  memory,
  isOnline: () => navigator.onLine,
})

/** A file that looks like one whose upload was begun elsewhere: only its owner can say whether it is. */
export interface Question {
  id: string
  file: File
  upload: ListedUpload
}

export const transfers = signal<TransferView[]>([])
export const questions = signal<Question[]>([])

/** The sum of what is under way; what has arrived counts until it is cleared away. */
export const overall = computed(() => {
  const counted = transfers.value.filter(({ state }) => state !== 'failed')
  const open = counted.filter(({ state }) => !isOver(state))
  const speed = open.reduce((sum, transfer) => sum + (transfer.speed ?? 0), 0)
  const size = counted.reduce((sum, { file }) => sum + file.size, 0)
  const sent = counted.reduce((sum, transfer) => sum + transfer.sent, 0)
  return { size, sent, speed, open: open.length, done: counted.length - open.length }
})

let isDue = false
uploads.subscribe(() => {
  if (isDue) return
  isDue = true
  // Not requestAnimationFrame: the title of a page in the background goes on counting.
  setTimeout(() => {
    isDue = false
    const before = new Map(transfers.peek().map(({ id, state }) => [id, state]))
    transfers.value = uploads.views()
    for (const transfer of transfers.peek()) notice(transfer, before.get(transfer.id))
  }, 60)
})

onEnter(() => uploads.wake())

/** Takes files in. One that was begun in this browser goes on by itself; one that looks begun elsewhere is asked about. */
export async function send(files: Iterable<File>): Promise<void> {
  const given = [...files]
  await entered
  // The list may be older than the last bytes that arrived.
  if (given.some((file) => findLookalike(file, 0))) await refresh()
  for (const file of given) {
    const lookalike = findLookalike(file, 1)
    if (lookalike) questions.value = [...questions.peek(), { id: crypto.randomUUID(), file, upload: lookalike }]
    else uploads.add(file)
  }
}

/** Answers a question: the file goes on where the upload stopped, or becomes an upload of its own. */
export function answer(question: Question, isTheSame: boolean): void {
  questions.value = questions.peek().filter(({ id }) => id !== question.id)
  uploads.add(question.file, isTheSame ? urlOf(question.upload) : undefined)
}

/** Goes on with `upload`; the person says this is its file. Returns what speaks against it, in words. */
export function goOn(upload: ListedUpload, file: File): string | null {
  if (file.size !== upload.size) return `This is another file: it has not the size of “${upload.filename}”.`
  uploads.add(file, urlOf(upload))
  return null
}

/** Whether this page is sending `upload` at the moment. */
export function isUnderWay(upload: ListedUpload): boolean {
  return transfers.value.some(({ url, state }) => url === urlOf(upload) && !isOver(state))
}

/** The unfinished upload of `leastOffset` bytes or more that `file` seems to belong to, unless this browser knows better. */
function findLookalike(file: File, leastOffset: number): ListedUpload | undefined {
  if (memory.recall(fingerprintOf(file, owner(), endpoint)) !== null) return undefined
  return listed.peek().find((upload) => {
    if (upload.state !== 'receiving' || upload.offset < leastOffset || isUnderWay(upload)) return false
    return upload.size === file.size && upload.filename.normalize() === file.name.normalize()
  })
}

function urlOf(upload: ListedUpload): string {
  return new URL(upload.url, location.href).href
}

/** What follows from a change of state. */
function notice(transfer: TransferView, before: TransferView['state'] | undefined): void {
  const { state, file } = transfer
  if (state === before) return
  if (state === 'unauthorized' && transfer.failure) void renew()
  if (state === 'completed') say(`${file.name} has arrived.`)
  if (state === 'failed') say(`${file.name}: ${explainFile(transfer)}`)
  if (state === 'waiting' && before !== 'waiting') say(`${file.name} waits for the network and goes on by itself.`)
  if (state === 'sending' && before === 'waiting') say(`${file.name} goes on.`)
  if (state === 'completed' || before === 'queued') refreshSoon()
}
