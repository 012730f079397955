/*
 * A final upload is made of partial ones that are complete. Its parts have one size like everybody's; where a part lies
 * within one partial upload, the store copies it and no byte passes through here. Only a part over a seam is read and
 * written; partial uploads of one length, as clients make them, mostly have none. The partial uploads end when the final one is complete.
 */
import { admit, notFound } from '../access.ts'
import { UploadError } from '../errors.ts'
import { aboutOf } from '../pairing/origin.ts'
import type { Bytes, Lease, ObjectStore, Sessions } from '../ports.ts'
import { isJoined, refuseEnded } from '../session-view.ts'
import type { Actor, PartReceipt, Session } from '../upload.ts'

const MiB = 1024 ** 2
// A copy costs this server a question and an answer; S3 makes one of 100 MiB in about a second.
const copiesAtOnce = 12
// S3 copies a range only of objects of 5 MiB and more.
const smallestCopySource = 5 * MiB
// Large enough that 5 GiB are some dozens of requests, small enough that the parts over seams are soon read.
const largestPart = 64 * MiB
const wantedParts = 16

// A client that names an upload again and again has the store copy what it never sent.
const mostRepeats = 16

/**
 * The partial uploads of a final one, in order, found with one question. One may be named again: its bytes are then in the file again.
 * @throws UploadError when one is unknown, not the actor's, or none
 */
export async function findPartials(actor: Actor, ids: string[], sessions: Sessions, now: Date): Promise<Session[]> {
  const distinct = [...new Set(ids)]
  const found = new Map((await sessions.findAll(distinct)).map((session) => [session.id, session]))
  for (const id of distinct) {
    const session = found.get(id)
    if (!session) throw notFound()
    admit(actor, session, 'append', now)
    refuseEnded(session, now)
    if (isJoined(session)) throw new UploadError('UPLOAD_GONE', 'This upload is part of another file already.')
    if (session.concat?.kind !== 'partial')
      throw new UploadError('INVALID_REQUEST', 'Only partial uploads can be joined.')
  }
  refuseRepeats(ids, found)
  return ids.map((id) => found.get(id)!)
}

/** What is named again is charged when the final upload is created, so its length must be known by then. */
function refuseRepeats(ids: string[], found: Map<string, Session>): void {
  const repeats = ids.length - found.size
  if (repeats > mostRepeats)
    throw new UploadError('INVALID_REQUEST', `Partial uploads may be named again ${mostRepeats} times at most.`)
  if (repeats > 0 && [...found.values()].some(({ size }) => size === null))
    throw new UploadError('INVALID_REQUEST', 'A partial upload may be named again only when its length is known.')
}

/** Their bytes together; `null` while one of them does not know. */
export function lengthOf(partials: Session[]): number | null {
  let size = 0
  for (const partial of partials) {
    if (partial.size === null) return null
    size += partial.size
  }
  return size
}

/** The part size to prefer for a file of `size` bytes whose parts are mostly copied. */
export function preferredJoinSize(size: number | null, preferred: number): number {
  return Math.max(preferred, size === null ? largestPart : Math.min(largestPart, Math.ceil(size / wantedParts)))
}

interface Stretch {
  key: string
  sourceSize: number
  start: number
  end: number
}

/**
 * Writes the parts of a final upload from its partial ones and records them; the join of the parts is left to the finish.
 * May be done again after any failure.
 */
export async function writeJoinedParts(lease: Lease, partials: Session[], store: ObjectStore): Promise<void> {
  const { session } = lease
  const size = session.size!
  const count = Math.max(1, Math.ceil(size / session.partSize))
  if (session.handle === null) {
    lease.suspect()
    const handle = await store.begin(session.key, { ...aboutOf(session), partSize: session.partSize })
    await lease.save({ handle, isDirty: true })
  }
  const parts: PartReceipt[] = []
  let next = 1
  async function work(): Promise<void> {
    while (next <= count) {
      const number = next
      next += 1
      await lease.confirm()
      const start = (number - 1) * session.partSize
      parts.push(await writePart(number, stretches(partials, start, Math.min(start + session.partSize, size))))
    }
  }

  function writePart(number: number, from: Stretch[]): Promise<PartReceipt> {
    const [only] = from
    if (from.length === 1 && only!.sourceSize >= smallestCopySource)
      return store.copyPart(session.key, session.handle!, number, only!)
    return store.writePart(session.key, session.handle!, number, readStretches(from, store))
  }

  const working = Array.from({ length: Math.min(copiesAtOnce, count) }, () =>
    work().catch((error: unknown) => {
      next = count + 1
      throw error
    }),
  )
  // What is on its way when one fails ends before the lease does: another holder may write the same parts.
  await Promise.allSettled(working)
  await Promise.all(working)
  await lease.save({ parts, offset: size })
}

/** The first `bytes` of what `partials` make together, or all of it. */
export async function readHead(partials: Session[], bytes: number, store: ObjectStore): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of readStretches(stretches(partials, 0, bytes), store).chunks()) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** The bytes `start` to `end` of the whole, as stretches of the partial uploads. */
function stretches(partials: Session[], start: number, end: number): Stretch[] {
  const found: Stretch[] = []
  let at = 0
  for (const { key, size } of partials) {
    const from = Math.max(start, at)
    const to = Math.min(end, at + size!)
    if (from < to) found.push({ key, sourceSize: size!, start: from - at, end: to - at })
    at += size!
  }
  return found
}

function readStretches(from: Stretch[], store: ObjectStore): Bytes {
  return {
    size: from.reduce((bytes, { start, end }) => bytes + end - start, 0),
    async *chunks() {
      for (const { key, start, end } of from) yield* store.read(key, { start, end })
    },
  }
}
