/*
 * A final upload is concatenated from partial uploads that are complete. Its parts have one size, like those of any upload. A part that
 * lies within one partial upload is copied by the store, and no byte passes through this server. A part that spans several partial uploads
 * is read and written again; there are few of them when all partial uploads have the same length, as clients usually make them. The partial
 * uploads end when the final upload is complete.
 */

import { authorizeOwner } from '../access/access.ts'
import { crc32OfRanges } from '../crc32.ts'
import { errors } from '../errors/errors.ts'
import type { Lease } from '../lease.ts'
import { createMultipart } from '../parts/multipart.ts'
import type { Bytes, ObjectStore } from '../ports/object-store.ts'
import type { UploadRepository } from '../ports/uploads.ts'
import type { Actor, StoredPart, UploadRecord } from '../upload.ts'
import { assertActive, isConcatenated } from '../upload-state.ts'

const MiB = 1024 ** 2
// A copy costs this server only a request; S3 copies 100 MiB in about a second.
const copiesAtOnce = 12
// S3 copies ranges only from objects of 5 MiB or more.
const minCopySource = 5 * MiB
// Large enough that 5 GiB take some dozens of requests, small enough that a part that is not copied is read in a short time.
const maxPreferredPart = 64 * MiB
// Enough parts to copy them in parallel.
const minParts = 16
// By naming an upload repeatedly, a client makes the store copy bytes that the client never sent.
const maxRepeats = 16

/**
 * The partial uploads of a final one, in order, found with one query. An upload that is named again contributes its bytes again.
 * @throws UploadError when an upload does not exist, belongs to another user, has ended, or is not partial
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
    if (!upload.isPartial) throw errors.notPartial()
  }
  assertFewRepeats(ids, found)
  return ids.map((id) => found.get(id)!)
}

/** Repeated bytes are charged when the final upload is created, so their length must be known by then. */
function assertFewRepeats(ids: string[], found: Map<string, UploadRecord>): void {
  const repeats = ids.length - found.size
  if (repeats > maxRepeats) throw errors.tooManyRepeats({ most: maxRepeats })
  if (repeats > 0 && [...found.values()].some(({ size }) => size === null)) throw errors.repeatedWithoutLength()
}

/** The length of all partial uploads together; `null` while that of one is unknown. */
export function lengthOf(partials: UploadRecord[]): number | null {
  let size = 0
  for (const partial of partials) {
    if (partial.size === null) return null
    size += partial.size
  }
  return size
}

/** The preferred part size for a file of `size` bytes most of whose parts are copied. */
export function preferredConcatPartSize(size: number | null, preferred: number): number {
  return Math.max(preferred, size === null ? maxPreferredPart : Math.min(maxPreferredPart, Math.ceil(size / minParts)))
}

interface ByteRange {
  key: string
  sourceSize: number
  start: number
  end: number
}

/**
 * Writes the parts of a final upload from its partial uploads and records them; the multipart upload is completed later. May be called
 * again after any failure.
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
    const multipartId = await createMultipart(lease, store, upload.partSize)
    await lease.save({ multipartId })
  }
  const parts: StoredPart[] = []
  let next = 1
  async function writeParts(): Promise<void> {
    while (next <= count) {
      const number = next
      next += 1
      await lease.confirm()
      const start = (number - 1) * upload.partSize
      parts.push(await writePart(number, rangesOf(partials, start, Math.min(start + upload.partSize, size))))
    }
  }

  function writePart(number: number, ranges: ByteRange[]): Promise<StoredPart> {
    const [only] = ranges
    if (ranges.length === 1 && only!.sourceSize >= minCopySource)
      return store.copyPart(upload.key, upload.multipartId!, number, only!)
    return store.uploadPart(upload.key, upload.multipartId!, number, readRanges(ranges, store))
  }

  const workers = Array.from({ length: Math.min(copiesAtOnce, count) }, () =>
    writeParts().catch((error: unknown) => {
      next = count + 1
      throw error
    }),
  )
  // After a failure the other writes end before the lease does, because the next lease holder may write the same parts.
  await Promise.allSettled(workers)
  await Promise.all(workers)
  await lease.save({ parts, offset: size, crc32: crc32OfRanges(partials) })
}

/** The first `bytes` bytes of the concatenated partial uploads, or all of them. */
export async function readPrefix(partials: UploadRecord[], bytes: number, store: ObjectStore): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of readRanges(rangesOf(partials, 0, bytes), store).chunks()) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** The bytes `start` to `end` (exclusive) of the concatenated file, as ranges of the partial uploads. */
function rangesOf(partials: UploadRecord[], start: number, end: number): ByteRange[] {
  const ranges: ByteRange[] = []
  let at = 0
  for (const { key, size } of partials) {
    const from = Math.max(start, at)
    const to = Math.min(end, at + size!)
    if (from < to) ranges.push({ key, sourceSize: size!, start: from - at, end: to - at })
    at += size!
  }
  return ranges
}

function readRanges(ranges: ByteRange[], store: ObjectStore): Bytes {
  return {
    size: ranges.reduce((bytes, { start, end }) => bytes + end - start, 0),
    async *chunks() {
      for (const { key, start, end } of ranges) yield* store.read(key, { start, end })
    },
  }
}
