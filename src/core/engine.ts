import type { Readable } from 'node:stream'
import {
  agreeOnSize,
  alreadyCompleted,
  answerWhole,
  lengthMismatch,
  offsetMismatch,
  shuttingDown,
  stillFinishing,
  takenOver,
  tooManyBytes,
} from './append-refusals.ts'
import { type BodyEnd, readBody } from './body.ts'
import { cleanUp, pieceFolder } from './clean-up.ts'
import { findPartials, lengthOf, preferredJoinSize } from './concatenate.ts'
import { type Facts, isRefusal, UploadError } from './errors.ts'
import { eventOf } from './events.ts'
import { type FileHash, hashFile, isAsExpected } from './file-digest.ts'
import { finishUpload, recordCompletion, recordLoss, recordOtherFile } from './finish.ts'
import type { MemoryBudget } from './memory-budget.ts'
import { newSession } from './new-session.ts'
import { isQuiet, locked } from './part-claims.ts'
import { choosePartSize } from './part-plan.ts'
import { createPartWriter, type PartWriter, type PartWriting } from './part-writer.ts'
import { createPieceCache } from './piece-cache.ts'
import type { Policies, Policy } from './policy.ts'
import { HandleLost, type Lease, type Locker, type ObjectStore, type Sessions } from './ports.ts'
import type { Rule } from './rules/rule.ts'
import { tooLarge } from './rules/size.ts'
import { createScattered } from './scattered.ts'
import { admit, checkId, closeRanks, notFound, refuseEnded, toUpload } from './session-view.ts'
import { type Actor, hasEnded, hasEveryByte, type Session, type Upload, type Wish } from './upload.ts'
import { within } from './within.ts'

/** Sees every byte of a body as it comes, and says at its end whether the body is what it was said to be. */
export interface Digest {
  update(chunk: Buffer): void
  /** Called once after a clean end. @throws UploadError CHECKSUM_MISMATCH, INVALID_REQUEST */
  verify(): void
  /** Of a body that broke off nothing can be verified. True: what came of it counts (RUFH); otherwise it does not (tus). */
  keepsWhatBrokeOff?: boolean
}

/** The bytes of one request. */
export interface Append {
  /** Must equal the upload's offset. */
  offset: number
  /** Node's raw request, or any Readable. Its end is clean when `end` came; anything else keeps what arrived. */
  body: Readable
  /** What Content-Length says; `null` for chunked bodies. */
  bodySize: number | null
  /** The file's length, told late or told again; it must agree with what is known. */
  size?: number | undefined
  /**
   * When the file is whole. `at-size`: when offset reaches the length (tus). `with-body`: this body, ended cleanly, is
   * the last (RUFH `Upload-Complete: ?1`). `later`: not by this body, even at full length (RUFH `?0`).
   */
  ending: 'at-size' | 'with-body' | 'later'
  /** Nothing of the body counts before this has agreed. */
  digest?: Digest | undefined
  /** Told now and then how far the recorded offset has come (RUFH 104 progress). */
  onProgress?: ((offset: number) => void) | undefined
}

/** One numbered chunk, in any order, beside others. */
export interface NumberedChunk {
  /** From 1; the chunk covers bytes `(number − 1) × partSize` and on. */
  number: number
  body: Readable
  bodySize: number | null
  digest?: Digest | undefined
}

/** The receipt of one numbered chunk. */
export interface WrittenChunk {
  upload: Upload
  etag: string
  size: number
}

/** The chunks of an upload that the server has. */
export interface ChunkMap {
  upload: Upload
  chunks: { number: number; size: number; etag: string }[]
}

/** What a role may send, for answers that announce limits. */
export interface Limits {
  maxSize: number
  minPartSize: number
  timeToLiveMs: number
}

/** The verbs of an upload. Every one checks the owner: another user's upload is UPLOAD_NOT_FOUND. */
export interface Engine {
  limits(actor: Actor): Limits
  /** @throws UploadError from the rules: ROLE_NOT_ALLOWED, FILE_TOO_LARGE, TYPE_NOT_ALLOWED, CATEGORY_NOT_ALLOWED, INVALID_METADATA */
  create(actor: Actor, wish: Wish): Promise<Upload>
  /**
   * Appends the body until it ends, breaks, or fills the length. What arrived is durable and recorded when this returns
   * or throws, except under a digest. The upload returned is `completed` only when the object is there.
   * @throws UploadError OFFSET_MISMATCH (facts.offset), UPLOAD_COMPLETED, UPLOAD_GONE, UPLOAD_EXPIRED, UPLOAD_LOST, FILE_TOO_LARGE,
   * LENGTH_MISMATCH, CHECKSUM_MISMATCH, UPLOAD_LOCKED, STORE_UNAVAILABLE, DATABASE_ERROR, BODY_TIMEOUT
   */
  append(actor: Actor, id: string, chunk: Append): Promise<Upload>
  /** Writes one numbered chunk; sent twice it replaces the first. @throws UploadError as `append` */
  writeChunk(actor: Actor, id: string, chunk: NumberedChunk): Promise<WrittenChunk>
  /** What is there, without asking anybody to stop. */
  peek(actor: Actor, id: string): Promise<Upload>
  /** Which numbered chunks are there. */
  chunks(actor: Actor, id: string): Promise<ChunkMap>
  /**
   * The truthful state: whoever writes is asked to save first; an upload in `finishing` is finished. An unfinished
   * upload of full length is finished too when `ending` is `at-size` (tus knows no other end).
   * @throws UploadError UPLOAD_GONE, UPLOAD_EXPIRED, UPLOAD_LOST for ends that are not completion; STORE_UNAVAILABLE while finishing fails
   */
  describe(actor: Actor, id: string, ending?: 'at-size' | 'later'): Promise<Upload>
  /**
   * The explicit end of an upload whose bytes are all there (REST), also of one whose chunks came out of order.
   * `expected`: the client's own list of chunks, checked. Of a completed upload: the upload, once more.
   * @throws UploadError LENGTH_MISMATCH (something is missing), INVALID_FIELD (list differs)
   */
  complete(actor: Actor, id: string, expected?: { number: number; etag: string }[]): Promise<Upload>
  /**
   * Ends the upload and frees what it used; a completed one loses its object unless that is spared.
   * @throws UploadError UPLOAD_GONE the second time; UPLOAD_COMPLETED when a completed one is spared
   */
  cancel(actor: Actor, id: string, how?: { sparesCompleted?: boolean }): Promise<void>
  /** The actor's own uploads, newest first. */
  list(actor: Actor, page: { limit: number; before?: string | undefined }): Promise<Upload[]>
}

/** What the engine is made of. Clock and ids are arguments, so that tests need no mocks. */
export interface EngineOptions {
  sessions: Sessions
  store: ObjectStore
  locker: Locker
  policies(): Policies
  rules: Rule[]
  budget: MemoryBudget
  keyTemplate: string
  /** Bytes; what a part has unless the file needs larger ones. */
  partSize: number
  partsInFlight: number
  /** A stalled body ends after this. 0: never. */
  bodyIdleMs: number
  /** Bytes a second; slower bodies end. 0: no limit. */
  minSpeed: number
  /** How long an answer waits for the store to make an object before it says 503. */
  finishWaitMs: number
  /** For so long the claim of a dead node on a numbered chunk blocks others. */
  claimMs?: number | undefined
  newId(): string
  now(): Date
  /** Told what went wrong where nobody waits for an answer. */
  onFault(error: unknown, facts: Facts): void
}

export interface RunningEngine extends Engine {
  /** Makes every body that is being read stop and save, and refuses new uploads. */
  drain(): void
  /** Resolves when nothing runs in the background. */
  idle(): Promise<void>
  /** Finishes one upload that was left in `finishing`; for the background finisher. */
  finish(id: string): Promise<void>
  /** Ends one upload whose time has run out and frees what it used. False when it went on meanwhile. */
  expire(id: string): Promise<boolean>
  /** Frees what an ended upload left; for the sweeper. */
  clean(id: string): Promise<void>
}

/** The engine over one store, one database and one lock. */
export function createEngine(options: EngineOptions): RunningEngine {
  const { sessions, store, locker, budget, now } = options
  const cache = createPieceCache(budget)
  const background = new Set<Promise<unknown>>()
  const running = new Set<AbortController>()
  const claiming = { sessions, claimMs: options.claimMs ?? 30_000, waitMs: 3000 }
  let isDraining = false

  function policyOf(role: string): Policy {
    const policies = options.policies()
    const policy = Object.hasOwn(policies, role) ? policies[role] : undefined
    if (!policy) throw new UploadError('ROLE_NOT_ALLOWED', 'Your role may not send files.')
    return policy
  }

  function later(work: Promise<unknown>, facts: Facts): void {
    const tracked = work
      .catch((error: unknown) => options.onFault(error, facts))
      .finally(() => background.delete(tracked))
    background.add(tracked)
  }

  function lifeAfter(session: Session): Date | null {
    const policies = options.policies()
    const timeToLiveMs = Object.hasOwn(policies, session.role) ? policies[session.role]!.timeToLiveMs : 0
    return timeToLiveMs > 0 ? new Date(now().getTime() + timeToLiveMs) : session.expiresAt
  }

  const nextPieceKey = (session: Session) => pieceFolder(session.id) + options.newId()

  function openWriter(
    lease: Lease,
    details: Partial<Pick<PartWriting, 'partSize' | 'size' | 'isHeldBack' | 'onRecorded' | 'overwrites'>> = {},
  ): PartWriter {
    const { session } = lease
    return createPartWriter({
      store,
      lease,
      budget,
      cache,
      partsInFlight: options.partsInFlight,
      partSize: details.partSize ?? session.partSize,
      size: details.size === undefined ? session.size : details.size,
      nextPieceKey: () => nextPieceKey(session),
      overwrites: details.overwrites ?? new Set(),
      touch: () => ({ expiresAt: lifeAfter(session) }),
      isHeldBack: details.isHeldBack ?? false,
      onRecorded(offset, litter) {
        if (litter.length > 0) later(store.remove(litter), { uploadId: session.id, what: 'removing replaced pieces' })
        details.onRecorded?.(offset, litter)
      },
    })
  }

  /** Finishes the upload unless somebody has, and waits for it no longer than an answer may take. */
  async function joinFinish(id: string, check: (session: Session) => void): Promise<Session> {
    const finishing = locker.hold(id, check, async (lease) => {
      refuseEnded(lease.session, now())
      await closeRanks(lease.session, sessions)
      await finishUpload(lease, { store, sessions, now, openWriter, partialsOf })
      return lease.session
    })
    later(
      finishing.then(cleanUpAfter, () => {}),
      { uploadId: id, what: 'cleaning up' },
    )
    const session = await within(finishing, options.finishWaitMs).catch((error: unknown) => {
      throw isRefusal(error, 'UPLOAD_LOCKED') ? stillFinishing() : error
    })
    return session ?? Promise.reject(stillFinishing())
  }

  async function cleanUpAfter(session: Session): Promise<void> {
    if (session.isDirty) await cleanUp(session, store, sessions)
    if (session.concat?.kind !== 'final' || session.state !== 'completed') return
    for (const id of new Set(session.concat.from)) await endPartial(id)
  }

  /** A partial upload that is part of a file now is no longer needed. Should this be cut off, it expires. */
  async function endPartial(id: string): Promise<void> {
    const partial = await locker.hold(
      id,
      () => {},
      async (lease) => {
        if (lease.session.state === 'completed') await end(lease, 'cancelled')
        return lease.session
      },
    )
    await cleanUp(partial, store, sessions)
  }

  function partialsOf(session: Session): Promise<Session[]> {
    const from = session.concat?.kind === 'final' ? session.concat.from : []
    return findPartials({ id: session.ownerId, role: session.role }, from, sessions, now())
  }

  /** A final upload is joined as soon as its partial uploads are complete; until then it may even be unknown how long it is. */
  async function describeFinal(actor: Actor, session: Session): Promise<Upload> {
    const check = (found: Session) => admit(actor, found)
    const partials = await partialsOf(session)
    const size = lengthOf(partials)
    if (size !== null && session.size === null) {
      const { maxSize } = policyOf(session.role)
      if (size > maxSize) throw tooLarge(session.role, maxSize, size)
      await locker.hold(session.id, check, async (lease) => {
        if (lease.session.size === null) await lease.save({ size })
      })
    }
    if (partials.some((partial) => partial.state !== 'completed')) return toUpload({ ...session, size })
    return toUpload(await joinFinish(session.id, check))
  }

  async function create(actor: Actor, wish: Wish): Promise<Upload> {
    if (isDraining) throw shuttingDown()
    const final = wish.concat?.kind === 'final' ? wish.concat : null
    // A client that did not hear the answer asks again, and means the same file.
    const same = final && (await sessions.findFinal(actor.id, final.header))
    if (same) return describe(actor, same)
    const partials = final && (await findPartials(actor, final.from, sessions, now()))
    const session = newSession(actor, partials ? { ...wish, size: lengthOf(partials) } : wish, {
      policy: policyOf(actor.role),
      rules: options.rules,
      limits: store.limits,
      keyTemplate: options.keyTemplate,
      partSize: partials ? preferredJoinSize(lengthOf(partials), options.partSize) : options.partSize,
      newId: options.newId,
      now,
    })
    await sessions.insert(session, eventOf('upload.created', session))
    if (partials) return describe(actor, session.id)
    if (session.size === 0 && wish.ending !== 'later') {
      return toUpload(await joinFinish(session.id, (found) => admit(actor, found)))
    }
    return toUpload(session)
  }

  async function append(actor: Actor, id: string, chunk: Append): Promise<Upload> {
    if (isDraining) throw shuttingDown()
    checkId(id)
    const check = (session: Session) => admit(actor, session)
    const session = await locker.hold(id, check, (lease) =>
      appendUnderLease(lease, chunk).catch((error: unknown) =>
        error instanceof HandleLost ? recordLoss(lease, error) : Promise.reject(error),
      ),
    )
    if (session.state === 'finishing') return toUpload(await joinFinish(id, check))
    if (session.state === 'completed') later(cleanUpAfter(session), { uploadId: id, what: 'cleaning up' })
    return toUpload(session)
  }

  async function appendUnderLease(lease: Lease, chunk: Append): Promise<Session> {
    const { session } = lease
    refuseEnded(session, now())
    if (session.concat?.kind === 'final')
      throw new UploadError('FORBIDDEN', 'A final upload is made of its parts and takes no bytes.')
    if (session.state !== 'receiving') return answerWhole(session, chunk)
    if (!(await isQuiet(lease, claiming))) throw locked()
    const parts = await closeRanks(session, sessions)
    if (chunk.offset !== session.offset) throw offsetMismatch(session, chunk.offset)
    const size = agreeOnSize(session, chunk, policyOf(session.role))
    if (size !== session.size && size !== null) await lease.save({ size })

    const maxSize = Math.min(policyOf(session.role).maxSize, store.limits.maxObjectSize)
    const limit = (size ?? maxSize) - session.offset
    if (chunk.bodySize !== null && chunk.bodySize > limit) throw tooManyBytes(session, size, maxSize)
    const writer = openWriter(lease, {
      size,
      partSize: alignedPartSize(session, chunk, size ?? maxSize),
      isHeldBack: chunk.digest !== undefined,
      overwrites: new Set(parts.map((part) => part.number)),
      ...(chunk.onProgress ? { onRecorded: chunk.onProgress } : {}),
    })
    // A file in one body is digested as it comes; one in several is read again when it is whole.
    const fileHash = session.digests && session.offset === 0 ? hashFile(session.digests) : null
    const stop = new AbortController()
    const passOn = () => stop.abort(lease.signal.reason)
    lease.signal.addEventListener('abort', passOn, { once: true })
    running.add(stop)
    let end: BodyEnd
    try {
      end = await readBody(chunk.body, {
        limit,
        idleMs: options.bodyIdleMs,
        minSpeed: options.minSpeed,
        signal: lease.signal.aborted ? lease.signal : stop.signal,
        take: (bytes) => {
          chunk.digest?.update(bytes)
          fileHash?.update(bytes)
          return writer.take(bytes)
        },
      })
    } finally {
      running.delete(stop)
      lease.signal.removeEventListener('abort', passOn)
    }

    // The bytes that were announced are the whole body, also when somebody asked for the upload before its end was seen.
    if (end !== 'overflow' && chunk.bodySize !== null && writer.position - chunk.offset === chunk.bodySize)
      end = 'clean'
    if (chunk.digest) await agreeWithDigest(chunk.digest, end, writer, session)
    const isWhole =
      (chunk.ending === 'at-size' && writer.position === size && end !== 'overflow') ||
      (chunk.ending === 'with-body' && end === 'clean')
    if (isWhole && (size === null || writer.position === size)) return closeUpload(lease, writer, fileHash)
    await writer.flush()
    if (end === 'overflow') throw tooManyBytes(session, size, maxSize)
    if (isWhole) throw lengthMismatch(session, size)
    if (end === 'idle')
      throw new UploadError('BODY_TIMEOUT', 'No bytes came for too long. Please go on.', { offset: session.offset })
    if (end === 'stopped') throw isDraining ? shuttingDown() : takenOver(session)
    return session
  }

  /** The last bytes: one object at once, or the last part and then the join, which waits for its turn outside this lease. */
  async function closeUpload(lease: Lease, writer: PartWriter, fileHash: FileHash | null): Promise<Session> {
    const size = writer.position
    const digests = fileHash?.digests()
    if (digests && !isAsExpected(digests)) {
      await writer.drop()
      await recordOtherFile(lease)
    }
    const facts = await writer.close()
    if (digests) lease.session.digests = digests
    if (facts) await recordCompletion(lease, facts, { now, store })
    else await lease.save({ state: 'finishing', size, ...(digests && { digests }), release: true })
    return lease.session
  }

  async function agreeWithDigest(digest: Digest, end: BodyEnd, writer: PartWriter, session: Session): Promise<void> {
    if (digest.keepsWhatBrokeOff && end !== 'clean' && end !== 'overflow') return
    try {
      if (end !== 'clean')
        throw new UploadError('CHECKSUM_MISMATCH', 'The body ended before its checksum could be verified.')
      digest.verify()
    } catch (error) {
      const litter = await writer.drop()
      if (litter.length > 0) later(store.remove(litter), { uploadId: session.id, what: 'removing refused pieces' })
      throw error
    }
  }

  /** Parts as long as the client's chunks leave no tails; only the first body can still decide that. */
  function alignedPartSize(session: Session, { bodySize }: Append, size: number): number {
    if (session.offset > 0 || session.handle !== null || session.isScattered || bodySize === null || bodySize === 0)
      return session.partSize
    return choosePartSize({ size, preferred: options.partSize, limits: store.limits, firstChunkSize: bodySize })
  }

  async function describe(actor: Actor, id: string, ending: 'at-size' | 'later' = 'at-size'): Promise<Upload> {
    checkId(id)
    const check = (session: Session) => admit(actor, session)
    const session = await locker.settle(id, check)
    refuseEnded(session, now())
    if (session.concat?.kind === 'final' && session.state === 'receiving') return describeFinal(actor, session)
    await closeRanks(session, sessions)
    const mustFinish =
      session.state === 'finishing' || (session.state === 'receiving' && ending === 'at-size' && hasEveryByte(session))
    return toUpload(mustFinish ? await joinFinish(id, check) : session)
  }

  async function find(actor: Actor, id: string): Promise<Session> {
    checkId(id)
    const session = await sessions.find(id)
    if (!session) throw notFound()
    admit(actor, session)
    return session
  }

  async function cancel(actor: Actor, id: string, { sparesCompleted = false } = {}): Promise<void> {
    checkId(id)
    const ended = await locker.hold(
      id,
      (session) => admit(actor, session),
      async (lease) => {
        refuseEnded(lease.session, now())
        if (sparesCompleted && lease.session.state === 'completed') throw alreadyCompleted()
        return end(lease, 'cancelled')
      },
    )
    if (!ended.isQuiet) return
    await cleanUp(ended.session, store, sessions).catch((error: unknown) =>
      options.onFault(error, { uploadId: id, what: 'cleaning up' }),
    )
  }

  /** A part that is still on its way to the store would outlive the cleaning: then it is left to the sweeper. */
  async function end(lease: Lease, state: 'cancelled' | 'expired'): Promise<{ session: Session; isQuiet: boolean }> {
    const { session } = lease
    scattered.stop(() => new UploadError('UPLOAD_GONE', 'This upload was given up.'), session.id)
    const quiet = await isQuiet(lease, claiming)
    await lease.save({
      state,
      isDirty: true,
      expiresAt: null,
      event: eventOf(`upload.${state}`, session),
      release: true,
    })
    return { session, isQuiet: quiet }
  }

  const scattered = createScattered({
    ...claiming,
    store,
    locker,
    budget,
    cache,
    nextPieceKey,
    discard: (keys, session) => later(store.remove(keys), { uploadId: session.id, what: 'removing used pieces' }),
    idleMs: options.bodyIdleMs,
    minSpeed: options.minSpeed,
    now,
    lifeAfter,
  })

  return {
    limits(actor) {
      const { maxSize, timeToLiveMs } = policyOf(actor.role)
      return {
        maxSize: Math.min(maxSize, store.limits.maxObjectSize),
        minPartSize: store.limits.minPartSize,
        timeToLiveMs,
      }
    },
    create,
    append,
    describe,
    cancel,
    async writeChunk(actor, id, chunk) {
      if (isDraining) throw shuttingDown()
      checkId(id)
      return scattered.writeChunk(actor, id, chunk)
    },
    async chunks(actor, id) {
      checkId(id)
      return scattered.chunks(actor, id)
    },
    async complete(actor, id, expected) {
      const session = await find(actor, id)
      refuseEnded(session, now())
      if (session.state === 'receiving') await scattered.close(actor, id, expected)
      if (session.state === 'completed') return toUpload(session)
      return toUpload(await joinFinish(id, (found) => admit(actor, found)))
    },
    async peek(actor, id) {
      const session = await find(actor, id)
      await closeRanks(session, sessions)
      return toUpload(session)
    },
    async list(actor, page) {
      if (page.before !== undefined) checkId(page.before)
      return sessions.list(actor.id, page)
    },
    drain() {
      isDraining = true
      for (const stop of running) stop.abort()
      scattered.stop(shuttingDown)
    },
    async idle() {
      while (background.size > 0) await Promise.all(background)
    },
    async finish(id) {
      await joinFinish(id, () => {})
    },
    async expire(id) {
      const ended = await locker.hold(
        id,
        () => {},
        async (lease) => {
          const { state, expiresAt } = lease.session
          if (state !== 'receiving' || expiresAt === null || expiresAt > now()) return null
          return end(lease, 'expired')
        },
      )
      if (ended?.isQuiet) await cleanUp(ended.session, store, sessions)
      return ended !== null
    },
    async clean(id) {
      const session = await sessions.find(id)
      if (session && hasEnded(session)) await cleanUp(session, store, sessions)
    },
  }
}
