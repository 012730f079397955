/*
 * A final upload is made of partial ones that are complete. Its parts have one size like everybody's; where a part lies
 * within one partial upload, the store copies it and no byte passes through here. Only a part over a seam is read and
 * written; partial uploads of one length, as clients make them, mostly have none. The partial uploads end when the final one is complete.
 */

import { authorizeOwner } from '../access/access.ts'
import { errors } from '../errors/errors.ts'
import { objectMetadataOf } from '../pairing/origin.ts'
import type { Lease } from '../ports/locks.ts'
import type { Bytes, ObjectStore } from '../ports/object-store.ts'
import type { UploadRepository } from '../ports/uploads.ts'
import type { Actor, StoredPart, UploadRecord } from '../upload.ts'
import { assertActive, isConcatenated } from '../upload-state.ts'

const MiB = 1024 ** 2
// A copy costs this server a question and an answer; S3 makes one of 100 MiB in about a second.
const copiesAtOnce = 12
// S3 copies a range only of objects of 5 MiB and more.
const smallestCopySource = 5 * MiB
// Large enough that 5 GiB are some dozens of requests, small enough that the parts over seams are soon read.
const largestPart = 64 * MiB
const wantedParts = 16

// A client that names an upload again and again has the store copy what it never sent.
const maxRepeats = 16

/**
 * The partial uploads of a final one, in order, found with one question. One may be named again: its bytes are then in the file again.
 * @throws UploadError when one is unknown, not the actor's, or none
 */
export async function findPartials(
  actor: Actor,
  ids: string[],
  uploads: UploadRepository,
  now: Date,
): Promise<UploadRecord[]> {
  const distinct = [...new Set(ids)]
  const found = new Map((await uploads.findAll(distinct)).map((upload) => [upload.id, upload]))
  for (const id of distinct) {
    const upload = found.get(id)
    if (!upload) throw errors.uploadNotFound()
    authorizeOwner(actor, upload, 'append', now)
    assertActive(upload, now)
    if (isConcatenated(upload)) throw errors.alreadyConcatenated()
    if (upload.concat?.kind !== 'partial') throw errors.notPartial()
  }
  assertFewRepeats(ids, found)
  return ids.map((id) => found.get(id)!)
}

/** What is named again is charged when the final upload is created, so its length must be known by then. */
function assertFewRepeats(ids: string[], found: Map<string, UploadRecord>): void {
  const repeats = ids.length - found.size
  if (repeats > maxRepeats) throw errors.tooManyRepeats({ most: maxRepeats })
  if (repeats > 0 && [...found.values()].some(({ size }) => size === null)) throw errors.repeatedWithoutLength()
}

/** Their bytes together; `null` while one of them does not know. */
export function lengthOf(partials: UploadRecord[]): number | null {
  let size = 0
  for (const partial of partials) {
    if (partial.size === null) return null
    size += partial.size
  }
  return size
}

/** The part size to prefer for a file of `size` bytes whose parts are mostly copied. */
export function preferredConcatPartSize(size: number | null, preferred: number): number {
  return Math.max(preferred, size === null ? largestPart : Math.min(largestPart, Math.ceil(size / wantedParts)))
}

interface ByteRange {
  key: string
  sourceSize: number
  start: number
  end: number
}

/**
 * Writes the parts of a final upload from its partial ones and records them; the join of the parts is left to the finish.
 * May be done again after any failure.
 */
export async function writeConcatenatedParts(
  lease: Lease,
  partials: UploadRecord[],
  store: ObjectStore,
): Promise<void> {
  const { upload } = lease
  const size = upload.size!
  const count = Math.max(1, Math.ceil(size / upload.partSize))
  if (upload.multipartId === null) {
    lease.expectOrphan()
    const multipartId = await store.createMultipart(upload.key, {
      ...objectMetadataOf(upload),
      partSize: upload.partSize,
    })
    await lease.save({ multipartId, needsCleanup: true })
  }
  const parts: StoredPart[] = []
  let next = 1
  async function work(): Promise<void> {
    while (next <= count) {
      const number = next
      next += 1
      await lease.confirm()
      const start = (number - 1) * upload.partSize
      parts.push(await writePart(number, rangesOf(partials, start, Math.min(start + upload.partSize, size))))
    }
  }

  function writePart(number: number, from: ByteRange[]): Promise<StoredPart> {
    const [only] = from
    if (from.length === 1 && only!.sourceSize >= smallestCopySource)
      return store.copyPart(upload.key, upload.multipartId!, number, only!)
    return store.uploadPart(upload.key, upload.multipartId!, number, readRanges(from, store))
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
export async function readPrefix(partials: UploadRecord[], bytes: number, store: ObjectStore): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of readRanges(rangesOf(partials, 0, bytes), store).chunks()) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** The bytes `start` to `end` of the whole, as stretches of the partial uploads. */
function rangesOf(partials: UploadRecord[], start: number, end: number): ByteRange[] {
  const found: ByteRange[] = []
  let at = 0
  for (const { key, size } of partials) {
    const from = Math.max(start, at)
    const to = Math.min(end, at + size!)
    if (from < to) found.push({ key, sourceSize: size!, start: from - at, end: to - at })
    at += size!
  }
  return found
}

function readRanges(from: ByteRange[], store: ObjectStore): Bytes {
  return {
    size: from.reduce((bytes, { start, end }) => bytes + end - start, 0),
    async *chunks() {
      for (const { key, start, end } of from) yield* store.read(key, { start, end })
    },
  }
}
