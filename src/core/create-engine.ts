import { admit, admitAnew, asOwner, isOwner, notFound, type Permit, type Verb } from './access.ts'
import { type Appending, appendUnderLease } from './append.ts'
import { alreadyCompleted, shuttingDown, stillFinishing } from './append-refusals.ts'
import { type Bandwidth, createBandwidth, type Pace } from './bandwidth.ts'
import type { BodyEnd } from './body.ts'
import { createBodyGate } from './body-gate.ts'
import { cleanUp, pieceFolder } from './clean-up.ts'
import { findPartials, lengthOf, preferredJoinSize, readHead } from './concatenate.ts'
import type { ContentCheck } from './content.ts'
import type { Append, RunningEngine } from './engine.ts'
import { type Facts, isRefusal, UploadError } from './errors.ts'
import { eventOf } from './events.ts'
import { checkFingerprint } from './fingerprint.ts'
import { finishUpload, recordLoss } from './finish.ts'
import { type Looking, lookFirst, settleJoined } from './first-bytes.ts'
import type { MemoryBudget } from './memory-budget.ts'
import { newSession } from './new-session.ts'
import { makeNamedKey, makeObjectKey, type NameObject } from './object-key.ts'
import { isQuiet, locked } from './part-claims.ts'
import { createPartWriter, type PartWriter, type PartWriting } from './part-writer.ts'
import { createPieceCache } from './piece-cache.ts'
import { effectivePolicy, type Policy, type PolicyDocument } from './policy.ts'
import { HandleLost, type Lease, type Locker, type ObjectStore, type Sessions } from './ports.ts'
import type { Rule } from './rules/rule.ts'
import { tooLarge } from './rules/size.ts'
import { createScattered } from './scattered.ts'
import { checkId, closeRanks, refuseEnded, toUpload } from './session-view.ts'
import { type Actor, hasEnded, hasEveryByte, ownerOf, type Session, type Upload, type Wish } from './upload.ts'
import { within } from './within.ts'

/** What the engine is made of. Clock and ids are arguments, so that tests need no mocks. */
export interface EngineOptions {
  sessions: Sessions
  store: ObjectStore
  locker: Locker
  policies(): PolicyDocument
  rules: Rule[]
  /** Absent: a file is what it is said to be. */
  content?: ContentCheck | undefined
  budget: MemoryBudget
  keyTemplate: string
  /** Names objects in place of the template. */
  nameObject?: NameObject | undefined
  /** Bytes; what a part has unless the file needs larger ones. */
  partSize: number
  partsInFlight: number
  /** Bodies that may flow at once; not given: any number. */
  bodiesAtOnce?: number | undefined
  /** Not given: bodies come as fast as they like, but for what policies say. */
  bandwidth?: Bandwidth | undefined
  /** Asked before anything is done for a creation; refuses by throwing. */
  admitCreation?: ((actor: Actor) => void) | undefined
  /** A stalled body ends after this. 0: never. */
  bodyIdleMs: number
  /** Bytes a second; slower bodies end. 0: no limit. */
  minSpeed: number
  /** A body that takes longer than this is ended; what came is kept. 0: none is. */
  bodyTotalMs: number
  /** How long an answer waits for the store to make an object before it says 503. */
  finishWaitMs: number
  /** For so long the claim of a dead node on a numbered chunk blocks others. */
  claimMs?: number | undefined
  newId(): string
  now(): Date
  /** Asked after the owner check; not given: the owner check is all. */
  permit?: Permit | undefined
  /** Told of every body that was read: how it ended, and how many bytes of it were taken. */
  onBody?: ((end: BodyEnd, bytes: number) => void) | undefined
  /** Told what went wrong where nobody waits for an answer. */
  onFault(error: unknown, facts: Facts): void
}

interface Ended {
  session: Session
  /** No part of it is still on its way to the store. */
  isQuiet: boolean
}

/** The engine over one store, one database and one lock. */
export function createEngine(options: EngineOptions): RunningEngine {
  const { sessions, store, locker, budget, now, onBody = () => {} } = options
  const permit = options.permit ?? (async () => {})
  const cache = createPieceCache(budget)
  const background = new Set<Promise<unknown>>()
  const running = new Set<AbortController>()
  const claiming = { sessions, claimMs: options.claimMs ?? 30_000, waitMs: 3000 }
  const bandwidth = options.bandwidth ?? createBandwidth(null)
  const gate = createBodyGate(options.bodiesAtOnce ?? Number.POSITIVE_INFINITY, budget)
  let isDraining = false
  const looking: Looking | null = options.content
    ? {
        check: options.content,
        policyOf,
        keyFor({ role, ownerId: user, createdAt, filename }, category) {
          // What the operator's code has named keeps that name.
          if (options.nameObject) return null
          return makeObjectKey(options.keyTemplate, { role, user, createdAt, category, unique: unique(), filename })
        },
      }
    : null
  const appending: Omit<Appending, 'permitCompletion' | 'by'> = {
    sessions,
    store,
    claiming,
    partSize: options.partSize,
    bodyIdleMs: options.bodyIdleMs,
    minSpeed: options.minSpeed,
    bodyTotalMs: options.bodyTotalMs,
    now,
    checkRole: (session) => void policyOf(ownerOf(session)),
    openWriter,
    paceOf,
    running,
    isDraining: () => isDraining,
    later,
    onBody,
  }

  function policyOf(actor: Actor): Policy {
    const effective = effectivePolicy(options.policies(), actor)
    if (!effective) throw new UploadError('ROLE_NOT_ALLOWED', 'Your role may not send files.', { rule: 'role' })
    return effective.policy
  }

  function paceOf(session: Session): Pace | null {
    const perSecond = effectivePolicy(options.policies(), ownerOf(session))?.policy.bytesPerSecond ?? null
    return bandwidth.join(`${session.tenant ?? ''} ${session.ownerId}`, perSecond)
  }

  const admitted = (actor: Actor, verb: Verb) => (session: Session) => admit(actor, session, verb, now())
  const permitted = (actor: Actor, verb: Verb, session: Session) => permit({ actor, verb, upload: toUpload(session) })

  function later(work: Promise<unknown>, facts: Facts): void {
    const tracked = work
      .catch((error: unknown) => options.onFault(error, facts))
      .finally(() => background.delete(tracked))
    background.add(tracked)
  }

  function lifeAfter(session: Session): Date | null {
    const { timeToLiveMs } = session
    return timeToLiveMs === null ? session.expiresAt : new Date(now().getTime() + timeToLiveMs)
  }

  const nextPieceKey = (session: Session) => pieceFolder(session.id) + options.newId()
  const unique = () => options.newId().replaceAll('-', '')

  function openWriter(
    lease: Lease,
    by: Actor | null,
    details: Partial<
      Pick<PartWriting, 'partSize' | 'size' | 'isHeldBack' | 'ownsChunks' | 'onRecorded' | 'overwrites'>
    > = {},
  ): PartWriter {
    const { session } = lease
    const size = details.size === undefined ? session.size : details.size
    const isHeldBack = details.isHeldBack ?? false
    const touch = () => ({ expiresAt: lifeAfter(session) })
    const writer = createPartWriter({
      store,
      lease,
      budget,
      cache,
      partsInFlight: options.partsInFlight,
      partSize: details.partSize ?? session.partSize,
      size,
      nextPieceKey: () => nextPieceKey(session),
      overwrites: details.overwrites ?? new Set(),
      touch,
      isHeldBack,
      ownsChunks: details.ownsChunks ?? false,
      onRecorded(offset, litter) {
        if (litter.length > 0) later(store.remove(litter), { uploadId: session.id, what: 'removing replaced pieces' })
        details.onRecorded?.(offset, litter)
      },
    })
    const isFirst = session.head !== null || session.offset === 0
    // A partial upload is no file: only what is made of it can be looked at.
    const looks = session.concat?.kind === 'partial' ? null : looking
    if (!isFirst || (session.head === null && !looks)) return writer
    const onRecorded = (offset: number) => details.onRecorded?.(offset, [])
    return lookFirst(writer, lease, { looking: looks, size, isHeldBack, by, touch, onRecorded })
  }

  /**
   * Finishes the upload unless somebody has, and waits for it no longer than an answer may take. `actor`: who wants it to be
   * complete; `null` when that was decided before.
   */
  async function joinFinish(id: string, actor: Actor | null, verb: Verb = 'complete'): Promise<Session> {
    const check = actor ? admitted(actor, verb) : () => {}
    const finishing = locker.hold(id, check, async (lease) => {
      refuseEnded(lease.session, now())
      if (verb === 'finish') {
        if (!(await isQuiet(lease, claiming))) throw locked()
      } else if (actor && lease.session.state === 'receiving') {
        admit(actor, lease.session, 'complete', now())
        await permitted(actor, 'complete', lease.session)
      }
      await closeRanks(lease.session, sessions)
      await finishUpload(lease, { store, sessions, now, openWriter, partialsOf, settleJoined: settleFinal, by: actor })
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
        if (lease.session.state === 'completed') await end(lease, 'cancelled', null)
        return lease.session
      },
    )
    if (hasEnded(partial)) await cleanUp(partial, store, sessions)
  }

  function partialsOf(session: Session): Promise<Session[]> {
    const from = session.concat?.kind === 'final' ? session.concat.from : []
    return findPartials(ownerOf(session), from, sessions, now())
  }

  /** What the file of a final upload is, its first partial upload says. */
  async function settleFinal(lease: Lease, partials: Session[], by: Actor | null): Promise<void> {
    if (!looking) return
    const size = Math.min(looking.check.headSize, lease.session.size!)
    await settleJoined(lease, await readHead(partials, size, store), looking, by)
  }

  /** A final upload is joined as soon as its partial uploads are complete; until then it may even be unknown how long it is. */
  async function describeFinal(actor: Actor, session: Session): Promise<Upload> {
    const partials = await partialsOf(session)
    const size = lengthOf(partials)
    if (size !== null && session.size === null) {
      if (size > session.maxSize) throw tooLarge(session.role, session.maxSize, size)
      await locker.hold(session.id, admitted(actor, 'describe'), async (lease) => {
        if (lease.session.size === null) await lease.save({ size })
      })
    }
    if (partials.some((partial) => partial.state !== 'completed')) return toUpload({ ...session, size })
    return toUpload(await joinFinish(session.id, actor, 'describe'))
  }

  /** Nobody can say that a final upload is whole: its partial uploads are, or it is not. */
  async function completeFinal(actor: Actor, session: Session): Promise<Upload> {
    const upload = await describeFinal(actor, session)
    if (upload.state === 'completed') return upload
    throw new UploadError('LENGTH_MISMATCH', 'The partial uploads of this file are not all complete.')
  }

  async function create(actor: Actor, wish: Wish): Promise<Upload> {
    if (isDraining) throw shuttingDown()
    // Its bytes would find no room either.
    gate.check()
    options.admitCreation?.(actor)
    admitAnew(actor, 'create')
    const final = wish.concat?.kind === 'final' ? wish.concat : null
    // A client that did not hear the answer asks again, and means the same file.
    const same = final && (await sessions.findFinal(asOwner(actor), final.header))
    if (same) return describe(actor, same)
    const partials = final && (await findPartials(actor, final.from, sessions, now()))
    // Parts that divide what the partial uploads are long lie over no seam: then the store copies all of them.
    const whole = partials && { ...wish, size: lengthOf(partials), firstChunkSize: partials[0]?.size ?? undefined }
    const policy = policyOf(actor)
    const session = newSession(actor, whole ?? wish, {
      policy,
      rules: options.rules,
      contentRules: options.content?.rules,
      limits: store.limits,
      keyTemplate: options.keyTemplate,
      partSize: whole ? preferredJoinSize(whole.size, options.partSize) : options.partSize,
      newId: options.newId,
      now,
    })
    const { filename, contentType, category } = session
    const known = { ...wish, filename, contentType, category }
    await permit({ actor, verb: 'create', wish: known })
    if (options.nameObject && wish.concat?.kind !== 'partial') {
      const unique = options.newId().replaceAll('-', '')
      const name = await options.nameObject({ actor, wish: known, id: session.id, unique })
      session.key = makeNamedKey(name, session.id, unique)
    }
    await sessions.insert(session, eventOf('upload.created', session), policy, actor)
    if (partials) return describe(actor, session.id)
    if (session.size === 0 && wish.ending !== 'later') {
      return toUpload(await joinFinish(session.id, actor))
    }
    return toUpload(session)
  }

  async function append(actor: Actor, id: string, chunk: Append): Promise<Upload> {
    if (isDraining) throw shuttingDown()
    checkId(id)
    const permitCompletion = (session: Session) => permitted(actor, 'complete', session)
    const leave = gate.enter()
    const session = await locker
      .hold(id, admitted(actor, 'append'), async (lease) => {
        await permitted(actor, 'append', lease.session)
        return appendUnderLease(lease, chunk, { ...appending, permitCompletion, by: actor }).catch((error: unknown) =>
          error instanceof HandleLost ? recordLoss(lease, error, actor) : Promise.reject(error),
        )
      })
      .finally(leave)
    if (session.state === 'finishing') return toUpload(await joinFinish(id, actor, 'append'))
    if (session.state === 'completed') later(cleanUpAfter(session), { uploadId: id, what: 'cleaning up' })
    return toUpload(session)
  }

  async function describe(actor: Actor, id: string, ending: 'at-size' | 'later' = 'at-size'): Promise<Upload> {
    checkId(id)
    if (actor.isAdmin) {
      const found = await find(actor, id, 'describe')
      refuseEnded(found, now())
      if (!isOwner(actor, found)) return look(found)
    }
    const session = await locker.settle(id, admitted(actor, 'describe'))
    await permitted(actor, 'describe', session)
    refuseEnded(session, now())
    if (session.concat?.kind === 'final' && session.state === 'receiving') return describeFinal(actor, session)
    await closeRanks(session, sessions)
    const mustFinish =
      session.state === 'finishing' || (session.state === 'receiving' && ending === 'at-size' && hasEveryByte(session))
    return toUpload(mustFinish ? await joinFinish(id, actor, 'describe') : session)
  }

  async function find(actor: Actor, id: string, verb: Verb): Promise<Session> {
    checkId(id)
    const session = await sessions.find(id)
    if (!session) throw notFound()
    admit(actor, session, verb, now())
    await permitted(actor, verb, session)
    return session
  }

  /** Without asking anybody to stop, and without finishing anything. */
  async function look(session: Session): Promise<Upload> {
    await closeRanks(session, sessions)
    return toUpload(session)
  }

  async function cancel(actor: Actor, id: string, { sparesCompleted = false, endsAppend = false } = {}): Promise<void> {
    checkId(id)
    const verb = endsAppend ? 'append' : 'cancel'
    const spares = sparesCompleted || actor.capability !== undefined
    const ended = await locker.hold(id, admitted(actor, verb), async (lease) => {
      await permitted(actor, verb, lease.session)
      refuseEnded(lease.session, now())
      if (spares && lease.session.state === 'completed') throw alreadyCompleted()
      return end(lease, 'cancelled', actor)
    })
    await cleanUpQuiet(ended)
  }

  async function expireNow(actor: Actor, id: string): Promise<void> {
    checkId(id)
    const ended = await locker.hold(id, admitted(actor, 'expire'), async (lease) => {
      await permitted(actor, 'expire', lease.session)
      refuseEnded(lease.session, now())
      if (lease.session.state === 'completed') throw alreadyCompleted()
      if (lease.session.state === 'finishing') throw stillFinishing()
      return end(lease, 'expired', actor)
    })
    await cleanUpQuiet(ended)
  }

  async function cleanUpQuiet({ session, isQuiet }: Ended): Promise<void> {
    if (!isQuiet) return
    await cleanUp(session, store, sessions).catch((error: unknown) =>
      options.onFault(error, { uploadId: session.id, what: 'cleaning up' }),
    )
  }

  /** A part that is still on its way to the store would outlive the cleaning: then it is left to the sweeper. */
  async function end(lease: Lease, state: 'cancelled' | 'expired', by: Actor | null): Promise<Ended> {
    const { session } = lease
    scattered.stop(() => new UploadError('UPLOAD_GONE', 'This upload was given up.'), session.id)
    const quiet = await isQuiet(lease, claiming)
    await lease.save({
      state,
      by,
      isDirty: true,
      expiresAt: null,
      event: eventOf(`upload.${state}`, session),
      release: true,
    })
    return { session, isQuiet: quiet }
  }

  const scattered = createScattered({
    ...claiming,
    permit: permitted,
    store,
    locker,
    budget,
    cache,
    nextPieceKey,
    looking,
    onBody,
    discard: (keys, session) => later(store.remove(keys), { uploadId: session.id, what: 'removing used pieces' }),
    idleMs: options.bodyIdleMs,
    minSpeed: options.minSpeed,
    bodyTotalMs: options.bodyTotalMs,
    now,
    lifeAfter,
    paceOf,
  })

  return {
    limits(actor) {
      const { maxSize, timeToLiveMs } = policyOf(actor)
      return {
        maxSize: Math.min(maxSize ?? Number.POSITIVE_INFINITY, store.limits.maxObjectSize),
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
      const leave = gate.enter()
      return scattered.writeChunk(actor, id, chunk).finally(leave)
    },
    async chunks(actor, id) {
      checkId(id)
      return scattered.chunks(actor, id)
    },
    async complete(actor, id, expected) {
      const session = await find(actor, id, 'complete')
      refuseEnded(session, now())
      if (session.concat?.kind === 'final' && session.state === 'receiving') return completeFinal(actor, session)
      if (session.state === 'receiving') await scattered.close(actor, id, expected)
      if (session.state === 'completed') return toUpload(session)
      return toUpload(await joinFinish(id, actor))
    },
    async peek(actor, id) {
      return look(await find(actor, id, 'describe'))
    },
    async list(actor, page) {
      admitAnew(actor, 'list')
      await permit({ actor, verb: 'list' })
      if (page.before !== undefined) checkId(page.before)
      return sessions.list(asOwner(actor), page)
    },
    async finishNow(actor, id) {
      const session = await find(actor, id, 'finish')
      refuseEnded(session, now())
      const isFinal = session.concat?.kind === 'final' && session.state === 'receiving'
      const partials = isFinal ? await partialsOf(session) : []
      if (partials.some((partial) => partial.state !== 'completed'))
        throw new UploadError('LENGTH_MISMATCH', 'Not all parts of this file are whole yet.')
      if (session.state !== 'completed') await joinFinish(id, actor, 'finish')
    },
    expireNow,
    async mark(actor, id, fingerprint) {
      if (fingerprint !== null) checkFingerprint(fingerprint)
      refuseEnded(await find(actor, id, 'append'), now())
      await sessions.mark(id, fingerprint)
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
      await joinFinish(id, null)
    },
    async expire(id) {
      const ended = await locker.hold(
        id,
        () => {},
        async (lease) => {
          const { state, expiresAt } = lease.session
          if (state !== 'receiving' || expiresAt === null || expiresAt > now()) return null
          return end(lease, 'expired', null)
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
