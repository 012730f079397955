import { createAuthorization } from './access/authorization.ts'
import { createBackgroundTasks } from './background.ts'
import { type ActiveBody, drainBodies } from './body/active-bodies.ts'
import { createBandwidth } from './body/bandwidth.ts'
import { createBodyGate } from './body/body-gate.ts'
import { create } from './create/create.ts'
import { createWithBody } from './create/create-with-body.ts'
import { markAnswerLost } from './create/lost-creations.ts'
import { setFingerprint } from './create/set-fingerprint.ts'
import type { RunningEngine } from './engine.ts'
import type { EngineContext } from './engine-context.ts'
import type { EngineOptions } from './engine-options.ts'
import { awaitCompletion } from './finish/await-completion.ts'
import { complete, completeAsAdmin } from './finish/complete.ts'
import { createLeases } from './lease.ts'
import { createTailCache } from './memory/tail-cache.ts'
import { countParts, largestPartCount } from './read/count-parts.ts'
import { file, linkedFile, revokeLinks } from './read/file.ts'
import { get } from './read/get.ts'
import { limits } from './read/limits.ts'
import { list } from './read/list.ts'
import { listParts } from './read/list-parts.ts'
import { status } from './read/status.ts'
import { append } from './receive/append.ts'
import { uploadPart } from './receive/upload-part.ts'
import { cancel } from './transitions/cancel.ts'
import { cleanUp } from './transitions/clean-up.ts'
import { deleteObject, observeFile, restore } from './transitions/delete-object.ts'
import { expire, expireAsAdmin } from './transitions/expire.ts'

/** The engine over one store, one database and one locker: the table of its verbs. */
export function createEngine(options: EngineOptions): RunningEngine {
  const context = createContext(options)
  const verb =
    <Args extends unknown[], T>(work: (context: EngineContext, ...args: Args) => T) =>
    (...args: Args): T =>
      work(context, ...args)

  return {
    limits: verb(limits),
    create: verb(create),
    createWithBody: verb(createWithBody),
    markAnswerLost: verb(markAnswerLost),
    append: verb(append),
    uploadPart: verb(uploadPart),
    get: verb(get),
    listParts: verb(listParts),
    status: verb(status),
    complete: verb(complete),
    cancel: verb(cancel),
    completeAsAdmin: verb(completeAsAdmin),
    expireAsAdmin: verb(expireAsAdmin),
    countParts: verb(countParts),
    largestPartCount: verb(largestPartCount),
    list: verb(list),
    setFingerprint: verb(setFingerprint),
    file: verb(file),
    linkedFile: verb(linkedFile),
    revokeLinks: verb(revokeLinks),
    drain: () => drainBodies(context.bodies),
    drained: context.background.drained,
    finish: async (id) => void (await awaitCompletion(context, id, null)),
    expire: verb(expire),
    cleanUp: verb(cleanUp),
    deleteObject: verb(deleteObject),
    observeFile: verb(observeFile),
    restore: verb(restore),
  }
}

function createContext(options: EngineOptions): EngineContext {
  const {
    uploads,
    store,
    locker,
    policies,
    rules,
    contentCheck,
    nameObject,
    budget,
    gate = createBodyGate(Number.POSITIVE_INFINITY, budget),
    bandwidth = createBandwidth(null),
    authorizer = async () => {},
    checkCreation = () => {},
    confirmStore = async () => {},
    newSteps = () => [],
    partLockMs = 30_000,
    onBody = () => {},
    onError,
    now,
    newId,
    ...settings
  } = options
  const storePartsInFlight = store.limits.partsInFlight ?? Number.POSITIVE_INFINITY
  return Object.freeze({
    uploads,
    store,
    leases: createLeases(locker, { uploads, onError }),
    policies,
    rules,
    content: contentCheck ?? null,
    nameObject: nameObject ?? null,
    now,
    newId,
    settings: {
      ...settings,
      partsInFlight: Math.min(settings.partsInFlight, storePartsInFlight),
      partLockMs,
      partLockWaitMs: 3000,
    },
    authorization: createAuthorization(authorizer, now),
    memory: { budget, tails: createTailCache(budget) },
    bodies: {
      gate,
      bandwidth,
      all: new Set<ActiveBody>(),
      draining: new AbortController(),
    },
    background: createBackgroundTasks(onError),
    markingLost: new Set<Promise<void>>(),
    fullDays: new Map<string, string>(),
    checkCreation,
    confirmStore,
    newSteps,
    observer: { onBody, onError },
  })
}
