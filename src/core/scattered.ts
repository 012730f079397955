import { type BodyEnd, readBody } from './body.ts'
import type { ChunkMap, NumberedChunk, WrittenChunk } from './engine.ts'
import { UploadError } from './errors.ts'
import { recordLoss } from './finish.ts'
import type { MemoryBudget } from './memory-budget.ts'
import { type Change, HandleLost, type Locker, type ObjectStore, type Sessions } from './ports.ts'
import { admit, closeRanks, notFound, refuseEnded, toUpload } from './session-view.ts'
import type { Actor, PartReceipt, Session } from './upload.ts'

/*
 * Chunks that come in any order and beside each other, each exactly one part of the upload. They take no lease, or they
 * could not come in parallel; instead the record of a part is refused while anybody holds the lease or after the upload
 * has left `receiving`. Two writers of one number: the last record counts, and the store joins only what is recorded.
 */

export interface Scattering {
  sessions: Sessions
  store: ObjectStore
  locker: Locker
  budget: MemoryBudget
  idleMs: number
  minSpeed: number
  now(): Date
  lifeAfter(session: Session): Date | null
}

export interface Scattered {
  writeChunk(actor: Actor, id: string, chunk: NumberedChunk): Promise<WrittenChunk>
  chunks(actor: Actor, id: string): Promise<ChunkMap>
  /** Moves an upload of which every byte is there to `finishing`. */
  close(actor: Actor, id: string, expected?: { number: number; etag: string }[]): Promise<void>
}

/** Numbered chunks over the same sessions as everything else. */
export function createScattered(options: Scattering): Scattered {
  const { sessions, store, locker, budget, now } = options

  /** The session with a multipart upload begun for it, so that parts may come from anywhere. */
  async function openForChunks(actor: Actor, id: string): Promise<Session> {
    const check = (session: Session) => admit(actor, session)
    const found = await locker.settle(id, check)
    refuseEnded(found, now())
    if (found.handle !== null && found.isScattered) return found
    if (found.state !== 'receiving') return found
    return locker.hold(id, check, async (lease) => {
      const { session } = lease
      if ((session.handle !== null && session.isScattered) || session.state !== 'receiving') return session
      const change: Change = { isScattered: true, isDirty: true }
      if (session.handle === null) {
        await lease.confirm()
        change.handle = await store.begin(session.key, { contentType: session.contentType, partSize: session.partSize })
      }
      await lease.save({ ...change, expiresAt: options.lifeAfter(session) })
      return session
    })
  }

  async function writeChunk(actor: Actor, id: string, chunk: NumberedChunk): Promise<WrittenChunk> {
    const session = await openForChunks(actor, id)
    if (session.state !== 'receiving') throw completed()
    const size = sizeOfChunk(session, chunk.number)
    if (chunk.bodySize !== null && chunk.bodySize !== size) throw wrongChunkSize(chunk.number, size)
    const chunks = await collect(chunk, size)
    try {
      const part = await store.writePart(session.key, session.handle!, chunk.number, { size, chunks: () => chunks })
      await record(actor, id, part)
      return { upload: toUpload(session), etag: part.etag, size }
    } catch (error) {
      if (!(error instanceof HandleLost)) throw error
      return await locker.hold(
        id,
        (found) => admit(actor, found),
        (lease) => recordLoss(lease, error),
      )
    } finally {
      budget.giveBack(size)
    }
  }

  async function record(actor: Actor, id: string, part: PartReceipt): Promise<void> {
    for (let attempt = 0; attempt < 3; attempt += 1) {
      if (await sessions.addScatteredPart(id, part)) return
      const session = await locker.settle(id, (found) => admit(actor, found))
      refuseEnded(session, now())
      if (session.state !== 'receiving') throw completed()
    }
    throw new UploadError('UPLOAD_LOCKED', 'Another request is writing to this upload.')
  }

  async function collect({ body, digest }: NumberedChunk, size: number): Promise<Buffer[]> {
    const chunks: Buffer[] = []
    let held = 0
    const end: BodyEnd = await readBody(body, {
      limit: size,
      idleMs: options.idleMs,
      minSpeed: options.minSpeed,
      signal: new AbortController().signal,
      take(bytes) {
        digest?.update(bytes)
        chunks.push(bytes)
        held += bytes.length
        budget.add(bytes.length)
        return budget.room()
      },
    })
    try {
      if (end === 'overflow' || (end === 'clean' && held !== size)) throw wrongChunkSize(0, size)
      if (end !== 'clean')
        throw new UploadError('INVALID_REQUEST', 'The chunk did not arrive whole. Please send it again.')
      digest?.verify()
      return chunks
    } catch (error) {
      budget.giveBack(held)
      throw error
    }
  }

  async function close(actor: Actor, id: string, expected?: { number: number; etag: string }[]): Promise<void> {
    await locker.hold(
      id,
      (session) => admit(actor, session),
      async (lease) => {
        const { session } = lease
        refuseEnded(session, now())
        if (session.state !== 'receiving') return
        const parts = session.isScattered ? await closeRanks(session, sessions) : await sessions.parts(id)
        if (expected) compare(expected, parts)
        const size = session.size ?? session.offset
        if (session.offset !== size) {
          throw new UploadError('LENGTH_MISMATCH', `The upload has ${session.offset} of ${size} bytes.`, {
            offset: session.offset,
            size,
          })
        }
        await lease.save({ state: 'finishing', offset: size, size, tail: session.tail, release: true })
      },
    )
  }

  return {
    writeChunk,
    close,
    async chunks(actor, id) {
      const session = await sessions.find(id)
      if (!session) throw notFound()
      admit(actor, session)
      const parts = session.state === 'completed' ? [] : await sessions.parts(id)
      await closeRanks(session, sessions)
      const isExpired = session.state === 'receiving' && session.expiresAt !== null && session.expiresAt <= now()
      const upload = toUpload(session)
      return { upload: isExpired ? { ...upload, state: 'expired' } : upload, chunks: parts }
    },
  }
}

/** How many bytes chunk `number` must have. @throws UploadError INVALID_FIELD when there is no such chunk */
function sizeOfChunk({ size, partSize }: Session, number: number): number {
  if (size === null) throw new UploadError('LENGTH_MISMATCH', 'Chunks by number need a file whose length is known.')
  const last = Math.max(1, Math.ceil(size / partSize))
  if (number < 1 || number > last)
    throw new UploadError('INVALID_FIELD', `There is no such chunk: the file has ${last}.`, { number, last })
  return number === last ? size - (last - 1) * partSize : partSize
}

function wrongChunkSize(number: number, size: number): UploadError {
  return new UploadError('LENGTH_MISMATCH', `This chunk must have exactly ${size} bytes.`, { number, size })
}

function completed(): UploadError {
  return new UploadError('UPLOAD_COMPLETED', 'This upload is complete and takes no more bytes.')
}

function compare(expected: { number: number; etag: string }[], parts: PartReceipt[]): void {
  const known = new Map(parts.map((part) => [part.number, part.etag]))
  for (const { number, etag } of expected) {
    if (known.get(number)?.replaceAll('"', '') !== etag.replaceAll('"', '')) {
      throw new UploadError('INVALID_FIELD', `Chunk ${number} is not the one that was sent.`, { number })
    }
  }
  const said = new Set(expected.map(({ number }) => number)).size
  if (said !== parts.length || expected.length !== parts.length)
    throw new UploadError('INVALID_FIELD', `There are ${parts.length} chunks, not ${said}.`)
}
