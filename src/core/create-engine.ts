import { admit, admitAnew, asOwner, isOwner, notFound, type Verb } from './access.ts'
import { type Appending, appendUnderLease } from './append/append.ts'
import { shuttingDown } from './append/append-refusals.ts'
import { createBandwidth, type Pace } from './append/bandwidth.ts'
import { createBodyGate, type Passage, type Sender } from './append/body-gate.ts'
import { createRepeats, hashOfBody, type Refused } from './append/repeats.ts'
import { createScattered } from './append/scattered.ts'
import { createSentAgain } from './append/sent-again.ts'
import { createBackground } from './background.ts'
import { beginUpload } from './begin/begin-upload.ts'
import { checkFingerprint } from './begin/fingerprint.ts'
import { createLostCreations } from './begin/lost-creations.ts'
import { makeObjectKey, uniqueWord } from './begin/object-key.ts'
import { agreeingName } from './content/endings.ts'
import type { Looking } from './content/first-bytes.ts'
import type { Append, Begun, RunningEngine } from './engine.ts'
import type { EngineOptions } from './engine-options.ts'
import { UploadError } from './errors.ts'
import { pieceFolder } from './finish/clean-up.ts'
import { findPartials } from './finish/concatenate.ts'
import { createEnds } from './finish/ends.ts'
import { awaitsJoin, createFinalUploads, notReady } from './finish/final-uploads.ts'
import { joinFinish } from './finish/join-finish.ts'
import { isLost, observeLoss } from './finish/loss.ts'
import { createGuard } from './guard.ts'
import { openWriter, type WriterDetails } from './parts/open-writer.ts'
import { createPieceCache } from './parts/piece-cache.ts'
import { effectivePolicy, type Policy } from './policy/policy.ts'
import type { Lease } from './ports.ts'
import { checkId, closeRanks, closeRanksOf, isJoined, refuseEnded, toUpload } from './session-view.ts'
import { type Actor, hasEveryByte, ownerOf, type Session, type Upload, type Wish, wordFor } from './upload.ts'

/** The engine over one store, one database and one lock: every verb, and what they share. */
export function createEngine(options: EngineOptions): RunningEngine {
  const { sessions, store, locker, budget, now, onFault, newId, onBody = () => {} } = options
  const { bodyIdleMs, minSpeed, bodyTotalMs, lossConfirmMs, deleteGraceMs } = options
  const permit = options.permit ?? (async () => {})
  const guard = createGuard(permit, now)
  const { later, idle } = createBackground(onFault)
  const cache = createPieceCache(budget)
  const running = new Set<AbortController>()
  const draining = new AbortController()
  const claiming = { sessions, claimMs: options.claimMs ?? 30_000, waitMs: 3000 }
  const bandwidth = options.bandwidth ?? createBandwidth(null)
  const gate = options.gate ?? createBodyGate(Number.POSITIVE_INFINITY, budget)
  const looking: Looking | null = options.content ? { check: options.content, policyOf, keyFor } : null
  const body = { bodyIdleMs, minSpeed, bodyTotalMs, now, paceOf, onBody }
  const partsInFlight = Math.min(options.partsInFlight, store.limits.partsInFlight ?? Number.POSITIVE_INFINITY)
  const ground = { store, budget, cache, partsInFlight, looking, nextPieceKey, lifeAfter, later }
  const openIts = (lease: Lease, by: Actor | null, details: WriterDetails = {}) =>
    openWriter(lease, by, details, ground)
  const again = createSentAgain({
    sessions,
    now,
    later,
    bytesPerDayOf: (session) => effectivePolicy(options.policies(), ownerOf(session))?.policy.bytesPerDay ?? null,
  })
  const repeats = createRepeats({ sessions, store, describe })
  const appending: Omit<Appending, 'permitCompletion' | 'by' | 'passage' | 'giveUp'> = {
    ...body,
    sessions,
    store,
    claiming,
    partSizeFor: (session) => policyOf(ownerOf(session)).partSize ?? options.partSize,
    checkRole: (session) => void policyOf(ownerOf(session)),
    openWriter: openIts,
    again,
    repeats,
    running,
    isDraining: () => draining.signal.aborted,
    later,
  }
  const scattered = createScattered({
    ...body,
    ...claiming,
    lossConfirmMs,
    guard,
    store,
    locker,
    budget,
    cache,
    nextPieceKey,
    looking,
    discard: (keys, session) => later(store.remove(keys), { uploadId: session.id, what: 'removing used pieces' }),
    lifeAfter,
    again,
  })
  const ends = createEnds({
    store,
    locker,
    claiming,
    guard,
    now,
    deleteGraceMs,
    lossConfirmMs,
    stopChunks: scattered.stop,
    onFault,
  })
  const lostCreations = createLostCreations({ sessions, ends, later })
  const finals = createFinalUploads({ sessions, store, locker, guard, looking, now })
  const finishing = {
    sessions,
    store,
    locker,
    claiming,
    guard,
    now,
    lossConfirmMs,
    openWriter: openIts,
    partialsOf: finals.partialsOf,
    settleJoined: finals.settle,
    cleanUpAfter: ends.cleanUpAfter,
    later,
    finishWaitMs: options.finishWaitMs,
    draining: draining.signal,
  }

  function policyOf(actor: Actor): Policy {
    const effective = effectivePolicy(options.policies(), actor)
    if (!effective) throw new UploadError('ROLE_NOT_ALLOWED', 'Your role may not send files.', { rule: 'role' })
    return effective.policy
  }

  function paceOf(session: Session): Pace | null {
    const owner = ownerOf(session)
    const perSecond = effectivePolicy(options.policies(), owner)?.policy.bytesPerSecond ?? null
    return bandwidth.join(wordFor(owner), perSecond)
  }

  function keyFor({ role, ownerId: user, createdAt, filename: sent }: Session, category: string, contentType: string) {
    // What the operator's code has named keeps that name.
    if (options.nameObject) return null
    const unique = uniqueWord(newId)
    const filename = agreeingName(sent, contentType)
    return makeObjectKey(options.keyTemplate, { role, user, createdAt, category, unique, filename })
  }

  function nextPieceKey({ id }: Session): string {
    return pieceFolder(id) + newId()
  }

  /** The full time to live, or up to a hundredth more: a moment that moves with every record costs an index entry each. */
  function lifeAfter({ timeToLiveMs, expiresAt }: Session): Date | null {
    if (timeToLiveMs === null) return expiresAt
    const least = now().getTime() + timeToLiveMs
    return expiresAt !== null && expiresAt.getTime() >= least ? expiresAt : new Date(least + timeToLiveMs / 100)
  }

  async function finish(id: string, actor: Actor | null, verb: Verb = 'complete'): Promise<Upload> {
    return toUpload(await joinFinish(id, actor, verb, finishing))
  }

  /** A final upload is joined as soon as its partial uploads are complete. */
  async function describeFinal(actor: Actor, session: Session): Promise<Upload> {
    const { size, isReady } = await finals.measure(actor, session)
    return isReady ? finish(session.id, actor, 'describe') : toUpload({ ...session, size })
  }

  async function create(actor: Actor, wish: Wish): Promise<Begun> {
    if (draining.signal.aborted) throw shuttingDown()
    // Its bytes would find no room either.
    gate.check(senderOf(actor))
    options.admitCreation?.(actor)
    admitAnew(actor, 'create')
    await options.confirmStore?.()
    const final = wish.concat?.kind === 'final' ? wish.concat : null
    // A client that did not hear the answer asks again, and means the same file: it is made of the same partial uploads.
    const same = final && (await sessions.findFinal(asOwner(actor), final.from))
    if (same) return describe(actor, same)
    const partials = final && (await findPartials(actor, final.from, sessions, now()))
    await lostCreations.recorded()
    const begin = () => beginUpload(actor, wish, partials, policyOf(actor), options)
    const begun = await begin().catch(async (refusal: unknown) => {
      if (partials) throw refusal
      if (await lostCreations.giveWayTo(actor, wish, refusal)) return begin()
      return (await lostCreations.withoutRoom(actor, wish, refusal)) ?? Promise.reject(refusal)
    })
    // Its body will show whether it is one that came before.
    if ('repeats' in begun)
      return { ...toUpload(begun.session), id: newId(), state: 'receiving', offset: 0, repeats: begun.repeats }
    const { session, repeated } = begun
    if (partials) return describe(actor, session.id)
    if (session.size === 0 && wish.ending !== 'later') {
      const earlier = await repeats.find(actor, repeated, { size: 0, sha256: hashOfBody().digest('base64') })
      if (!earlier) return finish(session.id, actor)
      await ends.giveWay(session.id, 0, actor)
      return toUpload(earlier)
    }
    const repeat = wish.withBody && repeated.length > 0 ? { repeats: { ids: repeated, refusal: null } } : {}
    return { ...toUpload(session), ...repeat }
  }

  async function append(actor: Actor, id: string, chunk: Append): Promise<Upload> {
    if (draining.signal.aborted) throw shuttingDown()
    checkId(id)
    const permitCompletion = (session: Session) => guard.permitted(actor, 'complete', session)
    const passage = gate.enter(senderOf(actor))
    const { repeats: repeat } = chunk
    if (repeat?.refusal) return readAgain(actor, chunk, repeat as Refused, passage).finally(passage.leave)
    const giveUp = async (lease: Lease) => {
      await ends.giveUp(lease, actor)
      later(ends.clean(id), { uploadId: id, what: 'cleaning up' })
    }
    const session = await locker
      .hold(id, guard.admitted(actor, 'append'), async (lease) => {
        await guard.permitted(actor, 'append', lease.session)
        return appendUnderLease(lease, chunk, { ...appending, permitCompletion, giveUp, by: actor, passage }).catch(
          async (error: unknown) => {
            if (!isLost(error)) throw error
            await observeLoss(lease, error, actor, { store, now, lossConfirmMs })
            return lease.session
          },
        )
      })
      .finally(passage.leave)
    if (session.state === 'finishing') return finish(session.id, actor, 'append')
    if (session.state === 'completed') later(ends.cleanUpAfter(session), { uploadId: id, what: 'cleaning up' })
    return toUpload(session)
  }

  async function readAgain(actor: Actor, chunk: Append, repeat: Refused, passage: Passage): Promise<Upload> {
    const stop = new AbortController()
    const giveWay = () => stop.abort()
    running.add(stop)
    passage.signal.addEventListener('abort', giveWay, { once: true })
    try {
      const { signal } = stop
      const reading = { idleMs: bodyIdleMs, minSpeed, totalMs: bodyTotalMs, signal, passage }
      return toUpload(await repeats.readAgain(actor, chunk, repeat, reading))
    } finally {
      running.delete(stop)
    }
  }

  async function describe(actor: Actor, id: string, ending: 'at-size' | 'later' = 'at-size'): Promise<Upload> {
    checkId(id)
    if (actor.isAdmin) {
      const found = await find(actor, id, 'describe')
      if (!isOwner(actor, found)) {
        refuseEnded(found, now())
        return look(found)
      }
    }
    const session = await locker.settle(id, guard.admitted(actor, 'describe'))
    await guard.permitted(actor, 'describe', session)
    refuseEnded(session, now())
    if (awaitsJoin(session)) return describeFinal(actor, session)
    await closeRanks(session, sessions)
    const mustFinish =
      session.state === 'finishing' || (session.state === 'receiving' && ending === 'at-size' && hasEveryByte(session))
    return mustFinish ? finish(id, actor, 'describe') : toUpload(session)
  }

  async function find(actor: Actor, id: string, verb: Verb): Promise<Session> {
    checkId(id)
    const session = await sessions.find(id)
    if (!session) throw notFound()
    admit(actor, session, verb, now())
    await guard.permitted(actor, verb, session)
    return session
  }

  /** Without asking anybody to stop, and without finishing anything. */
  async function look(session: Session): Promise<Upload> {
    await closeRanks(session, sessions)
    return toUpload(session)
  }

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
    unheard: lostCreations.unheard,
    append,
    describe,
    async peek(actor, id) {
      return look(await find(actor, id, 'describe'))
    },
    async list(actor, page) {
      admitAnew(actor, 'list')
      await permit({ actor, verb: 'list' })
      if (page.before !== undefined) checkId(page.before)
      const found = await sessions.list(asOwner(actor), page)
      await closeRanksOf(found, sessions)
      return found.map(toUpload)
    },
    async writeChunk(actor, id, chunk) {
      if (draining.signal.aborted) throw shuttingDown()
      checkId(id)
      const passage = gate.enter(senderOf(actor))
      return scattered.writeChunk(actor, id, chunk, passage).finally(passage.leave)
    },
    async chunks(actor, id) {
      checkId(id)
      return scattered.chunks(actor, id)
    },
    async complete(actor, id, expected) {
      const session = await find(actor, id, 'complete')
      refuseEnded(session, now())
      if (awaitsJoin(session)) {
        const upload = await describeFinal(actor, session)
        if (upload.state !== 'completed') throw notReady()
        return upload
      }
      if (session.state === 'receiving') await scattered.close(actor, id, expected)
      return session.state === 'completed' || isJoined(session) ? toUpload(session) : finish(id, actor)
    },
    async finishNow(actor, id) {
      const session = await find(actor, id, 'finish')
      refuseEnded(session, now())
      if (awaitsJoin(session)) await finals.refuseUnready(session)
      if (session.state !== 'completed') await finish(id, actor, 'finish')
    },
    async countParts(actor, id, verb) {
      const { size, partSize, isScattered, offset } = await find(actor, id, verb)
      if (size !== null) return Math.ceil(size / partSize)
      return isScattered ? (await sessions.parts(id)).length : Math.ceil(offset / partSize)
    },
    async mostParts(actor) {
      admitAnew(actor, 'create')
      const open = await sessions.list(asOwner(actor), { limit: 100, state: 'receiving' })
      return Math.max(0, ...open.map(({ size, partSize }) => Math.ceil((size ?? 0) / partSize)))
    },
    async mark(actor, id, fingerprint) {
      if (fingerprint !== null) checkFingerprint(fingerprint)
      refuseEnded(await find(actor, id, 'append'), now())
      await sessions.mark(id, fingerprint)
    },
    cancel: ends.cancel,
    expireNow: ends.expireNow,
    drain() {
      draining.abort()
      for (const stop of running) stop.abort()
      scattered.stop(shuttingDown)
    },
    idle,
    async finish(id) {
      await finish(id, null)
    },
    expire: ends.expire,
    clean: ends.clean,
    deleteObject: ends.deleteObject,
    observeFile: ends.observeFile,
    restore: ends.restore,
  }
}

function senderOf(actor: Actor): Sender {
  return { user: wordFor(actor), network: actor.from?.network ?? null }
}
