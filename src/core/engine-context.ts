import type { Authorization } from './access/authorization.ts'
import type { BackgroundTasks } from './background.ts'
import type { ActiveBodies } from './body/active-bodies.ts'
import type { Pace } from './body/bandwidth.ts'
import type { Sender } from './body/body-gate.ts'
import type { BodyEnd } from './body/receive-body.ts'
import type { NewStep } from './content.ts'
import type { Facts } from './errors/error.ts'
import { errors } from './errors/errors.ts'
import type { Leases } from './lease.ts'
import type { MemoryBudget } from './memory/memory-budget.ts'
import type { TailCache } from './memory/tail-cache.ts'
import type { NameObject } from './object-key.ts'
import type { ContentCheck } from './policy/content-check.ts'
import type { CreationRule } from './policy/policy.ts'
import { effectivePolicy, type Policy, type PolicyDocument } from './policy/policy.ts'
import type { ObjectStore } from './ports/object-store.ts'
import type { UploadRepository } from './ports/uploads.ts'
import { type Actor, actorOfUpload, ownerKey, type UnmeasuredUpload, type Upload, type UploadRecord } from './upload.ts'

/** Numbers and templates that do not change while the engine runs. Sizes are bytes. */
export interface EngineSettings {
  keyTemplate: string
  /** The size of a part unless the policy or the file needs another. */
  partSize: number
  /** The size of a part that clients send by number, unless the policy or the file needs another. */
  chunkSize: number
  /** Parts of one upload that may be on their way to the store at once. */
  partsInFlight: number
  /** A body that brings no byte for so long is ended. 0: never. */
  bodyIdleMs: number
  /** Bytes a second; slower bodies are ended. 0: no limit. */
  minSpeed: number
  /** A body that takes longer than this is ended; the bytes that arrived are kept. 0: no limit. */
  bodyTotalMs: number
  /** How long an answer waits for the store to make an object before it is 503. */
  finishWaitMs: number
  /** The pause between the two observations that establish a loss. */
  lossConfirmMs: number
  /** How long the object of a completed upload stays after its owner or an admin deleted it. 0: not at all. */
  deleteGraceMs: number
  /** How long the part lock of a node that died blocks the part for others. */
  partLockMs: number
  /** How long a request waits for the part locks of others. */
  partLockWaitMs: number
}

/**
 * Everything that the verbs of one engine share, built once. Every verb is a function of a file of its own with the context as its first
 * argument.
 */
export interface EngineContext {
  readonly uploads: UploadRepository
  readonly store: ObjectStore
  readonly leases: Leases
  readonly settings: EngineSettings
  /** The active policies. */
  readonly policies: () => PolicyDocument
  readonly rules: readonly CreationRule[]
  /** `null`: the media type that the client names is taken as it is. */
  readonly content: ContentCheck | null
  readonly authorization: Authorization
  readonly memory: { readonly budget: MemoryBudget; readonly tails: TailCache }
  readonly bodies: ActiveBodies
  readonly background: BackgroundTasks
  /** Statements that mark uploads whose answer was lost and that have not returned yet. */
  readonly markingLost: Set<Promise<void>>
  /** The UTC day on which an owner, by `ownerKey`, had used up the quota of bytes a day. */
  readonly fullDays: Map<string, string>
  /** The operator's own names of objects; `null`: the key template. */
  readonly nameObject: NameObject | null
  /** Called before any work is done for a creation. @throws UploadError to refuse it */
  readonly checkCreation: (actor: Actor) => void
  /** Called before an upload is created; rejects while the store is not available. */
  readonly confirmStore: () => Promise<void>
  /** What follows the completion of a file. */
  readonly newSteps: (upload: Upload) => NewStep[]
  readonly now: () => Date
  readonly newId: () => string
  readonly observer: {
    /** Called once for every body that was read, with how it ended and the number of bytes taken. */
    onBody(end: BodyEnd, bytes: number): void
    /** Called with errors of work that no request waits for. */
    onError(error: unknown, facts: Facts): void
  }
}

/** The policy of the actor. @throws UploadError ROLE_NOT_ALLOWED when the role has none */
export function policyOf({ policies }: EngineContext, actor: Actor): Policy {
  const effective = effectivePolicy(policies(), actor)
  if (!effective) throw errors.roleMayNotUpload({ rule: 'role' })
  return effective.policy
}

/** A limit of the policy of the upload's owner; `null`: none, or the role has no policy any more. */
export function policyLimit(
  { policies }: EngineContext,
  upload: UnmeasuredUpload,
  field: 'bytesPerDay' | 'bytesPerSecond',
): number | null {
  return effectivePolicy(policies(), actorOfUpload(upload))?.policy[field] ?? null
}

/** How fast the bodies of the upload's owner may be read; `null`: without a limit. */
export function paceOf(context: EngineContext, upload: UnmeasuredUpload): Pace | null {
  const perSecond = policyLimit(context, upload, 'bytesPerSecond')
  return context.bodies.bandwidth.join(ownerKey(actorOfUpload(upload)), perSecond)
}

/**
 * When the upload expires unless more bytes arrive: the full time to live, or up to a hundredth more, because a time that changes with
 * every save costs an index entry each.
 */
export function nextExpiry(
  { now }: EngineContext,
  { timeToLiveMs, expiresAt }: Pick<UploadRecord, 'timeToLiveMs' | 'expiresAt'>,
): Date | null {
  if (timeToLiveMs === null) return expiresAt
  const earliest = now().getTime() + timeToLiveMs
  return expiresAt !== null && expiresAt.getTime() >= earliest ? expiresAt : new Date(earliest + timeToLiveMs / 100)
}

/** Whose body a request of `actor` brings, for the body gate. */
export function senderOf(actor: Actor): Sender {
  return { user: ownerKey(actor), network: actor.client?.network ?? null }
}
