/*
 * Chunks that come in any order and beside each other, each exactly one part of the upload. They take no lease, or they could
 * not come in parallel, but each claims its part: see part-claims.
 */
import { notFound } from '../access.ts'
import type { Looking } from '../content/first-bytes.ts'
import { type ChunkLook, lookAtChunk } from '../content/first-chunk.ts'
import type { ChunkMap, NumberedChunk, WrittenChunk } from '../engine.ts'
import { UploadError } from '../errors.ts'
import { observeLoss } from '../finish/loss.ts'
import type { Guard } from '../guard.ts'
import { aboutOf } from '../pairing/origin.ts'
import type { MemoryBudget } from '../parts/memory-budget.ts'
import { type Claiming, isQuiet, locked, placePart } from '../parts/part-claims.ts'
import type { PieceCache } from '../parts/piece-cache.ts'
import {
  type Change,
  HandleLost,
  type Lease,
  type Locker,
  ObjectMissing,
  type ObjectStore,
  type Sessions,
} from '../ports.ts'
import { closeRanks, refuseEnded, toUpload } from '../session-view.ts'
import type { Actor, Session } from '../upload.ts'
import type { Pace } from './bandwidth.ts'
import { type BodyEnd, readBody } from './body.ts'
import type { Passage } from './body-gate.ts'
import { compareChunks, completed, refuseChunk, sizeOfChunk, wrongChunkSize } from './chunk-refusals.ts'
import { type Gathering, gather } from './gathering.ts'
import type { SentAgain } from './sent-again.ts'

export interface Scattering extends Claiming {
  /** See `LossOptions`. */
  lossConfirmMs: number
  sessions: Sessions
  store: ObjectStore
  locker: Locker
  guard: Guard
  budget: MemoryBudget
  cache: PieceCache
  bodyIdleMs: number
  minSpeed: number
  bodyTotalMs: number
  now(): Date
  lifeAfter(session: Session): Date | null
  again: SentAgain
  /** How fast the owner's bodies may come; `null`: as they like. */
  paceOf(session: Session): Pace | null
  nextPieceKey(session: Session): string
  onBody(end: BodyEnd, bytes: number): void
  /** Absent: nobody looks at the first bytes. */
  looking: Looking | null
  /** Removes what nothing points to, when nobody waits. */
  discard(keys: string[], session: Session): void
}

export interface Scattered {
  /** `passage`: the body's place among all that flow. */
  writeChunk(actor: Actor, id: string, chunk: NumberedChunk, passage: Passage): Promise<WrittenChunk>
  chunks(actor: Actor, id: string): Promise<ChunkMap>
  /** Moves an upload of which every byte is there to `finishing`. */
  close(actor: Actor, id: string, expected?: { number: number; etag: string }[]): Promise<void>
  /** Ends the bodies that are being read here, of one upload or of all; `refusal` is their answer, as soon as it is known. */
  stop(refusal: () => UploadError | Promise<UploadError>, id?: string): void
}

/** A chunk whose body is being read. */
interface Reading {
  id: string
  number: number
  stop: AbortController
  lastByteAt: number
}

// A connection that lives brings something within this.
const stalledMs = 500

/** Numbered chunks over the same sessions as everything else. */
export function createScattered(options: Scattering): Scattered {
  const { sessions, store, locker, now, again } = options
  const { admitted, permitted } = options.guard
  const reading = new Set<Reading>()

  /** The session with a multipart upload begun for it, so that parts may come from anywhere. */
  async function openForChunks(actor: Actor, id: string, chunk: NumberedChunk): Promise<Session> {
    const found = await locker.settle(id, admitted(actor, 'append'))
    refuseChunk(found, chunk, now())
    if (isOpen(found)) return found
    return hold(actor, id, async (lease) => {
      const { session } = lease
      refuseChunk(session, chunk, now())
      if (isOpen(session)) return session
      const change: Change = { isScattered: true, expiresAt: options.lifeAfter(session) }
      if (session.handle === null) {
        await lease.confirm()
        // If its answer is lost there is a multipart upload whose name nobody knows.
        lease.suspect()
        change.handle = await store.begin(session.key, { ...aboutOf(session), partSize: session.partSize })
      }
      await lease.save(change)
      return session
    })
  }

  async function writeChunk(actor: Actor, id: string, chunk: NumberedChunk, passage: Passage): Promise<WrittenChunk> {
    const found = await locker.settle(id, admitted(actor, 'append'))
    await permitted(actor, 'append', found)
    refuseChunk(found, chunk, now())
    await again.refuse(found, chunk.number)
    const expiresAt = options.lifeAfter(found)
    const look = openLook(actor, found, chunk)
    const gathering = gather({
      ...options,
      nextPieceKey: () => options.nextPieceKey(found),
      leastSpill: look?.size ?? 0,
      async beforeSpill() {
        await look?.settle()
        // Nothing is stored before the session says so: who ends the upload would not look for it.
        while (!(await sessions.touch(id, expiresAt))) await reopen(actor, id)
      },
    })
    let session = found
    try {
      await collect(chunk, found, gathering, look, passage)
      await look?.settle()
      // Until now the first body that was appended could still choose other parts.
      session = await openForChunks(actor, id, { ...chunk, bodySize: gathering.size })
      if (look && session.contentType !== look.contentType) throw locked()
      const bytes = await gathering.whole()
      const { number } = chunk
      const part = await placePart(
        {
          id,
          number,
          bytes,
          expiresAt,
          reopen: () => reopen(actor, id),
          onAgain: () => again.count(session, bytes.size),
          write: () => store.writePart(session.key, session.handle!, number, bytes),
        },
        options,
      )
      return { upload: { ...toUpload(session), expiresAt }, etag: part.etag, size: part.size }
    } catch (error) {
      again.countRefused(session, gathering.size, error)
      if (error instanceof HandleLost)
        return await locker.hold(
          id,
          () => {},
          (lease) => lose(lease, session, error, actor),
        )
      if (error instanceof ObjectMissing) {
        // Its pieces, which whoever frees an ended upload removes with all others.
        await reopen(actor, id)
        throw locked()
      }
      throw error
    } finally {
      const pieces = await gathering.release()
      if (pieces.length > 0) options.discard(pieces, session)
    }
  }

  /** Waits for whoever holds the lease. @throws UploadError when the upload takes no chunks any more */
  async function reopen(actor: Actor, id: string): Promise<void> {
    const session = await locker.settle(id, admitted(actor, 'append'))
    refuseEnded(session, now())
    if (session.state !== 'receiving') throw completed()
  }

  /** The store knows nothing of the upload: because it has ended meanwhile, or because it was lost. */
  async function lose(lease: Lease, seen: Session, cause: HandleLost, by: Actor): Promise<never> {
    const { session } = lease
    refuseEnded(session, now())
    if (session.state !== 'receiving') throw completed()
    if (session.handle !== seen.handle) throw locked()
    await observeLoss(lease, cause, by, options)
    throw completed()
  }

  function hold<T>(actor: Actor, id: string, work: (lease: Lease) => Promise<T>): Promise<T> {
    return locker.hold(id, admitted(actor, 'append'), work)
  }

  /** For the chunk whose bytes say what the file is. A partial upload is no file. */
  function openLook(actor: Actor, session: Session, chunk: NumberedChunk): ChunkLook | null {
    if (options.looking === null || chunk.number !== 1 || session.concat?.kind === 'partial') return null
    return lookAtChunk(session, options.looking, sessions, actor, (work) =>
      hold(actor, session.id, (lease) => {
        refuseChunk(lease.session, chunk, now())
        return work(lease)
      }),
    )
  }

  /**
   * A client that sends a chunk again has given its older request up, which would hold a place until it times out. Two that come beside
   * each other are let be: both bring the same.
   */
  function endOlder(id: string, number: number): void {
    const older = [...reading].filter((one) => one.id === id && one.number === number)
    const now = performance.now()
    for (const [at, one] of older.entries())
      if (at < older.length - 1 || now - one.lastByteAt > stalledMs) one.stop.abort(sentAgain(number))
  }

  async function collect(
    { body, digest, number }: NumberedChunk,
    session: Session,
    to: Gathering,
    look: ChunkLook | null,
    passage: Passage,
  ): Promise<void> {
    const size = sizeOfChunk(session, number)
    endOlder(session.id, number)
    const mine = { id: session.id, number, stop: new AbortController(), lastByteAt: performance.now() }
    const giveWay = () => mine.stop.abort(passage.signal.reason)
    passage.signal.addEventListener('abort', giveWay, { once: true })
    if (passage.signal.aborted) giveWay()
    reading.add(mine)
    let failure: unknown = null
    const end = await readBody(body, {
      limit: size,
      idleMs: options.bodyIdleMs,
      minSpeed: options.minSpeed,
      totalMs: options.bodyTotalMs,
      signal: mine.stop.signal,
      pace: options.paceOf(session),
      passage,
      take(bytes) {
        mine.lastByteAt = performance.now()
        digest?.update(bytes)
        look?.see(bytes)
        return (
          to.take(bytes)?.catch((error: unknown) => {
            failure = error
            throw error
          }) ?? null
        )
      },
    }).finally(() => {
      reading.delete(mine)
      passage.signal.removeEventListener('abort', giveWay)
    })
    options.onBody(end, to.size)
    if (failure) throw failure
    if (end === 'stopped') throw (await mine.stop.signal.reason) as UploadError
    if (end === 'idle')
      throw new UploadError('BODY_TIMEOUT', 'No bytes came for too long. Please send the chunk again.', { number })
    if (end === 'overflow' || (end === 'clean' && to.size !== size)) throw wrongChunkSize(number, size)
    if (end === 'early')
      throw new UploadError('INVALID_REQUEST', 'The chunk did not arrive whole. Please send it again.', { number })
    digest?.verify()
  }

  async function close(actor: Actor, id: string, expected?: { number: number; etag: string }[]): Promise<void> {
    await locker.hold(id, admitted(actor, 'complete'), async (lease) => {
      const { session } = lease
      refuseEnded(session, now())
      if (session.state !== 'receiving') return
      await permitted(actor, 'complete', session)
      if (!(await isQuiet(lease, options))) throw locked()
      const parts = session.isScattered ? await closeRanks(session, sessions) : await sessions.parts(id)
      if (expected) compareChunks(expected, parts)
      const size = session.size ?? session.offset
      if (session.offset !== size) {
        throw new UploadError('LENGTH_MISMATCH', 'Something of the file is still missing.', {
          offset: session.offset,
          size,
        })
      }
      await lease.save({
        state: 'finishing',
        offset: size,
        size,
        head: session.head,
        tail: session.tail,
        release: true,
      })
    })
  }

  return {
    writeChunk,
    close,
    async chunks(actor, id) {
      const session = await sessions.find(id)
      if (!session) throw notFound()
      admitted(actor, 'describe')(session)
      await permitted(actor, 'describe', session)
      const parts = session.state === 'completed' ? [] : await sessions.parts(id)
      await closeRanks(session, sessions)
      const isExpired = session.state === 'receiving' && session.expiresAt !== null && session.expiresAt <= now()
      const upload = toUpload(session)
      return { upload: isExpired ? { ...upload, state: 'expired' } : upload, chunks: parts }
    },
    stop(refusal, id) {
      for (const one of reading) if (id === undefined || one.id === id) one.stop.abort(refusal())
    },
  }
}

/** Whether parts may come from anywhere. */
function isOpen(session: Session): boolean {
  return session.handle !== null && session.isScattered
}

function sentAgain(number: number): UploadError {
  return new UploadError('UPLOAD_LOCKED', 'A newer request sends the same chunk.', { number })
}
