import type { Authorizer } from './access/access.ts'
import type { Bandwidth } from './body/bandwidth.ts'
import type { BodyGate } from './body/body-gate.ts'
import type { BodyEnd } from './body/receive-body.ts'
import type { Facts } from './errors/error.ts'
import type { ContentCheck } from './media/resolve.ts'
import type { MemoryBudget } from './memory/memory-budget.ts'
import type { NameObject } from './object-key.ts'
import type { PolicyDocument } from './policy/policy.ts'
import type { Rule } from './policy/rules/rule.ts'
import type { Locker, ObjectStore, UploadRepository } from './ports.ts'
import type { Actor } from './upload.ts'

/** What the engine is made of. Clock and ids are arguments, so that tests need no mocks. */
export interface EngineOptions {
  uploads: UploadRepository
  store: ObjectStore
  locker: Locker
  policies(): PolicyDocument
  rules: Rule[]
  /** Absent: a file is what it is said to be. */
  contentCheck?: ContentCheck | undefined
  budget: MemoryBudget
  keyTemplate: string
  /** Names objects in place of the template. */
  nameObject?: NameObject | undefined
  /** Bytes; what a part has unless the file needs larger ones. */
  partSize: number
  /** Bytes; what a numbered chunk has, unless the policy says otherwise or the file needs larger ones. */
  chunkSize: number
  partsInFlight: number
  /** How many bodies may flow at once, and whose; not given: any number. */
  gate?: BodyGate | undefined
  /** Not given: bodies come as fast as they like, but for what policies say. */
  bandwidth?: Bandwidth | undefined
  /** Asked before an upload is begun; rejects when the store is not to be had. Not given: it always is. */
  confirmStore?: (() => Promise<void>) | undefined
  /** Asked before anything is done for a creation; refuses by throwing. */
  checkCreation?: ((actor: Actor) => void) | undefined
  /** A stalled body ends after this. 0: never. */
  bodyIdleMs: number
  /** Bytes a second; slower bodies end. 0: no limit. */
  minSpeed: number
  /** A body that takes longer than this is ended; what came is kept. 0: none is. */
  bodyTotalMs: number
  /** How long an answer waits for the store to make an object before it says 503. */
  finishWaitMs: number
  /** How long after the store first said that something is not there that is believed, if it still says so. */
  lossConfirmMs: number
  /** How long the object of a completed upload stays after its owner or an admin deleted it. 0: not at all. */
  deleteGraceMs: number
  /** For so long the claim of a dead node on a numbered chunk blocks others. */
  partLockMs?: number | undefined
  newId(): string
  now(): Date
  /** Asked after the owner check; not given: the owner check is all. */
  authorizer?: Authorizer | undefined
  /** Told of every body that was read: how it ended, and how many bytes of it were taken. */
  onBody?: ((end: BodyEnd, bytes: number) => void) | undefined
  /** Told what went wrong where nobody waits for an answer. */
  onError(error: unknown, facts: Facts): void
}
