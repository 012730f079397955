import { type Action, authorizeCollection, authorizeOwner, isOwner, notFound, ownerOfActor } from './access/access.ts'
import { createAuthorization } from './access/authorization.ts'
import { createBackgroundTasks } from './background.ts'
import { createBandwidth, type Pace } from './body/bandwidth.ts'
import { type BodySlot, createBodyGate, type Sender } from './body/body-gate.ts'
import { findPartials } from './concatenation/concatenate.ts'
import { createFinalUploads, isAwaitingPartials, partialsNotReady } from './concatenation/final-uploads.ts'
import { createUpload } from './create/create-upload.ts'
import { checkFingerprint } from './create/fingerprint.ts'
import { createLostCreations } from './create/lost-creations.ts'
import type { AppendRequest, Begun, RunningEngine } from './engine.ts'
import type { EngineOptions } from './engine-options.ts'
import { errors } from './errors/errors.ts'
import { awaitCompletion } from './finish/await-completion.ts'
import { agreeingName } from './media/file-endings.ts'
import { createTailCache } from './memory/tail-cache.ts'
import { makeObjectKey, uniqueToken } from './object-key.ts'
import { effectivePolicy, type Policy } from './policy/policy.ts'
import type { Lease } from './ports.ts'
import { type AppendOptions, appendUnderLease } from './receive/append.ts'
import { shuttingDown } from './receive/append-errors.ts'
import type { ContentPolicy } from './receive/content-gate.ts'
import { openPartWriter, type WriterDetails } from './receive/open-writer.ts'
import { createRepeatedBytes } from './receive/repeated-bytes.ts'
import { createRepeats, hashOfBody, type Refused } from './receive/repeated-creation.ts'
import { createPartUploads } from './receive/upload-part.ts'
import { tailPrefixOf } from './transitions/clean-up.ts'
import { createEnds } from './transitions/ends.ts'
import { isLost, observeLoss } from './transitions/loss.ts'
import {
  type Actor,
  actorOfUpload,
  type CreateUpload,
  hasEveryByte,
  ownerKey,
  type Upload,
  type UploadRecord,
} from './upload.ts'
import {
  assertActive,
  checkId,
  isConcatenated,
  readContiguousOffset,
  readContiguousOffsets,
  toUpload,
} from './upload-view.ts'

/** The engine over one store, one database and one lock: every verb, and what they share. */
export function createEngine(options: EngineOptions): RunningEngine {
  const { uploads, store, locker, budget, now, onError, newId, onBody = () => {} } = options
  const { bodyIdleMs, minSpeed, bodyTotalMs, lossConfirmMs, deleteGraceMs } = options
  const authorizer = options.authorizer ?? (async () => {})
  const authorization = createAuthorization(authorizer, now)
  const { runDetached, drained } = createBackgroundTasks(onError)
  const cache = createTailCache(budget)
  const activeBodies = new Set<AbortController>()
  const drainController = new AbortController()
  const partLocking = { uploads, partLockMs: options.partLockMs ?? 30_000, waitMs: 3000 }
  const bandwidth = options.bandwidth ?? createBandwidth(null)
  const gate = options.gate ?? createBodyGate(Number.POSITIVE_INFINITY, budget)
  const contentPolicy: ContentPolicy | null = options.contentCheck
    ? { check: options.contentCheck, policyOf, keyFor }
    : null
  const body = { bodyIdleMs, minSpeed, bodyTotalMs, now, paceOf, onBody }
  const partsInFlight = Math.min(options.partsInFlight, store.limits.partsInFlight ?? Number.POSITIVE_INFINITY)
  const writerContext = { store, budget, cache, partsInFlight, contentPolicy, nextTailKey, nextExpiry, runDetached }
  const openWriterFor = (lease: Lease, by: Actor | null, details: WriterDetails = {}) =>
    openPartWriter(lease, by, details, writerContext)
  const repeatedBytes = createRepeatedBytes({
    uploads,
    now,
    runDetached,
    bytesPerDayOf: (upload) => effectivePolicy(options.policies(), actorOfUpload(upload))?.policy.bytesPerDay ?? null,
  })
  const repeats = createRepeats({ sessions: uploads, store, status })
  const appendOptions: Omit<AppendOptions, 'authorizeCompletion' | 'by' | 'slot' | 'giveUp'> = {
    ...body,
    uploads,
    store,
    partLocking,
    partSizeFor: (upload) => policyOf(actorOfUpload(upload)).partSize ?? options.partSize,
    checkRole: (upload) => void policyOf(actorOfUpload(upload)),
    openWriter: openWriterFor,
    repeatedBytes,
    repeats,
    activeBodies,
    isDraining: () => drainController.signal.aborted,
    runDetached,
  }
  const partUploads = createPartUploads({
    ...body,
    ...partLocking,
    lossConfirmMs,
    authorization,
    store,
    locker,
    budget,
    cache,
    nextTailKey,
    contentPolicy,
    discard: (keys, upload) => runDetached(store.remove(keys), { uploadId: upload.id, what: 'removing used pieces' }),
    nextExpiry,
    repeatedBytes,
  })
  const ends = createEnds({
    store,
    locker,
    partLocking,
    authorization,
    now,
    deleteGraceMs,
    lossConfirmMs,
    stopParts: partUploads.stop,
    onError,
  })
  const lostCreations = createLostCreations({ uploads, ends, runDetached })
  const finalUploads = createFinalUploads({ uploads, store, locker, authorization, contentPolicy, now })
  const finishOptions = {
    uploads,
    store,
    locker,
    partLocking,
    authorization,
    now,
    lossConfirmMs,
    openWriter: openWriterFor,
    partialsOf: finalUploads.partialsOf,
    applyDetectedTypeOfFinal: finalUploads.applyDetectedType,
    cleanUpAfter: ends.cleanUpAfter,
    runDetached,
    finishWaitMs: options.finishWaitMs,
    draining: drainController.signal,
  }

  function policyOf(actor: Actor): Policy {
    const effective = effectivePolicy(options.policies(), actor)
    if (!effective) throw errors.roleMayNotUpload({ rule: 'role' })
    return effective.policy
  }

  function paceOf(upload: UploadRecord): Pace | null {
    const owner = actorOfUpload(upload)
    const perSecond = effectivePolicy(options.policies(), owner)?.policy.bytesPerSecond ?? null
    return bandwidth.join(ownerKey(owner), perSecond)
  }

  function keyFor(
    { role, ownerId: user, createdAt, filename: sent }: UploadRecord,
    category: string,
    contentType: string,
  ) {
    // What the operator's code has named keeps that name.
    if (options.nameObject) return null
    const unique = uniqueToken(newId)
    const filename = agreeingName(sent, contentType)
    return makeObjectKey(options.keyTemplate, { role, user, createdAt, category, unique, filename })
  }

  function nextTailKey({ id }: UploadRecord): string {
    return tailPrefixOf(id) + newId()
  }

  /** The full time to live, or up to a hundredth more: a moment that moves with every record costs an index entry each. */
  function nextExpiry({ timeToLiveMs, expiresAt }: UploadRecord): Date | null {
    if (timeToLiveMs === null) return expiresAt
    const least = now().getTime() + timeToLiveMs
    return expiresAt !== null && expiresAt.getTime() >= least ? expiresAt : new Date(least + timeToLiveMs / 100)
  }

  async function finish(id: string, actor: Actor | null, action: Action = 'complete'): Promise<Upload> {
    return toUpload(await awaitCompletion(id, actor, action, finishOptions))
  }

  /** A final upload is joined as soon as its partial uploads are complete. */
  async function statusOfFinal(actor: Actor, upload: UploadRecord): Promise<Upload> {
    const { size, isReady } = await finalUploads.measure(actor, upload)
    return isReady ? finish(upload.id, actor, 'read') : toUpload({ ...upload, size })
  }

  async function create(actor: Actor, creation: CreateUpload): Promise<Begun> {
    if (drainController.signal.aborted) throw shuttingDown()
    // Its bytes would find no room either.
    gate.check(senderOfActor(actor))
    options.checkCreation?.(actor)
    authorizeCollection(actor, 'create')
    await options.confirmStore?.()
    const final = creation.concat?.kind === 'final' ? creation.concat : null
    // A client that did not hear the answer asks again, and means the same file: it is made of the same partial uploads.
    const same = final && (await uploads.findFinal(ownerOfActor(actor), final.from))
    if (same) return status(actor, same)
    const partials = final && (await findPartials(actor, final.from, uploads, now()))
    await lostCreations.recorded()
    const begin = () => createUpload(actor, creation, partials, policyOf(actor), options)
    const created = await begin().catch(async (error: unknown) => {
      if (partials) throw error
      if (await lostCreations.replaceLost(actor, creation, error)) return begin()
      return (await lostCreations.withoutRoom(actor, creation, error)) ?? Promise.reject(error)
    })
    // Its body will show whether it is one that came before.
    if ('repeats' in created)
      return { ...toUpload(created.session), id: newId(), state: 'receiving', offset: 0, repeats: created.repeats }
    const { session: upload, repeated } = created
    if (partials) return status(actor, upload.id)
    if (upload.size === 0 && creation.ending !== 'later') {
      const earlier = await repeats.find(actor, repeated, { size: 0, sha256: hashOfBody().digest('base64') })
      if (!earlier) return finish(upload.id, actor)
      await ends.replace(upload.id, 0, actor)
      return toUpload(earlier)
    }
    const repeat = creation.withBody && repeated.length > 0 ? { repeats: { ids: repeated, refusal: null } } : {}
    return { ...toUpload(upload), ...repeat }
  }

  async function append(actor: Actor, id: string, chunk: AppendRequest): Promise<Upload> {
    if (drainController.signal.aborted) throw shuttingDown()
    checkId(id)
    const permitCompletion = (upload: UploadRecord) => authorization.authorize(actor, 'complete', upload)
    const slot = gate.enter(senderOfActor(actor))
    const { repeats: repeat } = chunk
    if (repeat?.refusal) return readAgain(actor, chunk, repeat as Refused, slot).finally(slot.leave)
    const giveUp = async (lease: Lease) => {
      await ends.giveUp(lease, actor)
      runDetached(ends.cleanUp(id), { uploadId: id, what: 'cleaning up' })
    }
    const upload = await locker
      .withLock(id, authorization.ownerCheck(actor, 'append'), async (lease) => {
        await authorization.authorize(actor, 'append', lease.upload)
        return appendUnderLease(lease, chunk, {
          ...appendOptions,
          authorizeCompletion: permitCompletion,
          giveUp,
          by: actor,
          slot,
        }).catch(async (error: unknown) => {
          if (!isLost(error)) throw error
          await observeLoss(lease, error, actor, { store, now, lossConfirmMs })
          return lease.upload
        })
      })
      .finally(slot.leave)
    if (upload.state === 'finishing') return finish(upload.id, actor, 'append')
    if (upload.state === 'completed') runDetached(ends.cleanUpAfter(upload), { uploadId: id, what: 'cleaning up' })
    return toUpload(upload)
  }

  async function readAgain(actor: Actor, chunk: AppendRequest, repeat: Refused, slot: BodySlot): Promise<Upload> {
    const stop = new AbortController()
    const giveWay = () => stop.abort()
    activeBodies.add(stop)
    slot.signal.addEventListener('abort', giveWay, { once: true })
    try {
      const { signal } = stop
      const reading = { idleMs: bodyIdleMs, minSpeed, totalMs: bodyTotalMs, signal, passage: slot }
      return toUpload(await repeats.readAgain(actor, chunk, repeat, reading))
    } finally {
      activeBodies.delete(stop)
    }
  }

  async function status(actor: Actor, id: string, ending: 'at-size' | 'later' = 'at-size'): Promise<Upload> {
    checkId(id)
    if (actor.isAdmin) {
      const found = await find(actor, id, 'read')
      if (!isOwner(actor, found)) {
        assertActive(found, now())
        return withContiguousOffset(found)
      }
    }
    const upload = await locker.waitForRelease(id, authorization.ownerCheck(actor, 'read'))
    await authorization.authorize(actor, 'read', upload)
    assertActive(upload, now())
    if (isAwaitingPartials(upload)) return statusOfFinal(actor, upload)
    await readContiguousOffset(upload, uploads)
    const mustFinish =
      upload.state === 'finishing' || (upload.state === 'receiving' && ending === 'at-size' && hasEveryByte(upload))
    return mustFinish ? finish(id, actor, 'read') : toUpload(upload)
  }

  async function find(actor: Actor, id: string, action: Action): Promise<UploadRecord> {
    checkId(id)
    const upload = await uploads.find(id)
    if (!upload) throw notFound()
    authorizeOwner(actor, upload, action, now())
    await authorization.authorize(actor, action, upload)
    return upload
  }

  /** Without asking anybody to stop, and without finishing anything. */
  async function withContiguousOffset(upload: UploadRecord): Promise<Upload> {
    await readContiguousOffset(upload, uploads)
    return toUpload(upload)
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
    markAnswerLost: lostCreations.markAnswerLost,
    append,
    status,
    async get(actor, id) {
      return withContiguousOffset(await find(actor, id, 'read'))
    },
    async list(actor, page) {
      authorizeCollection(actor, 'list')
      await authorizer({ actor, action: 'list' })
      if (page.before !== undefined) checkId(page.before)
      const found = await uploads.list(ownerOfActor(actor), page)
      await readContiguousOffsets(found, uploads)
      return found.map(toUpload)
    },
    async uploadPart(actor, id, chunk) {
      if (drainController.signal.aborted) throw shuttingDown()
      checkId(id)
      const slot = gate.enter(senderOfActor(actor))
      return partUploads.uploadPart(actor, id, chunk, slot).finally(slot.leave)
    },
    async listParts(actor, id) {
      checkId(id)
      return partUploads.listParts(actor, id)
    },
    async complete(actor, id, expected) {
      const session = await find(actor, id, 'complete')
      assertActive(session, now())
      if (isAwaitingPartials(session)) {
        const upload = await statusOfFinal(actor, session)
        if (upload.state !== 'completed') throw partialsNotReady()
        return upload
      }
      if (session.state === 'receiving') await partUploads.close(actor, id, expected)
      return session.state === 'completed' || isConcatenated(session) ? toUpload(session) : finish(id, actor)
    },
    async completeAsAdmin(actor, id) {
      const upload = await find(actor, id, 'finish')
      assertActive(upload, now())
      if (isAwaitingPartials(upload)) await finalUploads.assertReady(upload)
      if (upload.state !== 'completed') await finish(id, actor, 'finish')
    },
    async countParts(actor, id, action) {
      const { size, partSize, hasNumberedParts, offset } = await find(actor, id, action)
      if (size !== null) return Math.ceil(size / partSize)
      return hasNumberedParts ? (await uploads.parts(id)).length : Math.ceil(offset / partSize)
    },
    async largestPartCount(actor) {
      authorizeCollection(actor, 'create')
      const open = await uploads.list(ownerOfActor(actor), { limit: 100, state: 'receiving' })
      return Math.max(0, ...open.map(({ size, partSize }) => Math.ceil((size ?? 0) / partSize)))
    },
    async setFingerprint(actor, id, fingerprint) {
      if (fingerprint !== null) checkFingerprint(fingerprint)
      assertActive(await find(actor, id, 'append'), now())
      await uploads.setFingerprint(id, fingerprint)
    },
    cancel: ends.cancel,
    expireAsAdmin: ends.expireAsAdmin,
    drain() {
      drainController.abort()
      for (const stop of activeBodies) stop.abort()
      partUploads.stop(shuttingDown)
    },
    drained,
    async finish(id) {
      await finish(id, null)
    },
    expire: ends.expire,
    cleanUp: ends.cleanUp,
    deleteObject: ends.deleteObject,
    observeFile: ends.observeFile,
    restore: ends.restore,
  }
}

function senderOfActor(actor: Actor): Sender {
  return { user: ownerKey(actor), network: actor.client?.network ?? null }
}
