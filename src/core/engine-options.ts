import type { Authorizer } from './access/authorization.ts'
import type { Bandwidth } from './body/bandwidth.ts'
import type { BodyGate } from './body/body-gate.ts'
import type { BodyEnd } from './body/receive-body.ts'
import type { NewStep } from './content.ts'
import type { EngineSettings } from './engine-context.ts'
import type { Facts } from './errors/error.ts'
import type { MemoryBudget } from './memory/memory-budget.ts'
import type { NameObject } from './object-key.ts'
import type { ContentCheck } from './policy/content-check.ts'
import type { CreationRule, PolicyDocument } from './policy/policy.ts'
import type { Locker } from './ports/locks.ts'
import type { ObjectStore } from './ports/object-store.ts'
import type { UploadRepository } from './ports/uploads.ts'
import type { Actor, Upload } from './upload.ts'

/** What an engine is made of. Clock and ids are arguments, so that tests need no mocks. */
export interface EngineOptions extends Omit<EngineSettings, 'partLockMs' | 'partLockWaitMs'> {
  uploads: UploadRepository
  store: ObjectStore
  locker: Locker
  policies(): PolicyDocument
  rules: CreationRule[]
  /** Not given: the media type that the client names is taken as it is. */
  contentCheck?: ContentCheck | undefined
  budget: MemoryBudget
  /** Names objects in place of the template. */
  nameObject?: NameObject | undefined
  /** How many bodies may be read at once, and whose; not given: any number. */
  gate?: BodyGate | undefined
  /** Not given: bodies are read as fast as they arrive, except for the limits of policies. */
  bandwidth?: Bandwidth | undefined
  /** Called before an upload is created; rejects while the store is not available. */
  confirmStore?: (() => Promise<void>) | undefined
  /** Called before any work is done for a creation. @throws UploadError to refuse it */
  checkCreation?: ((actor: Actor) => void) | undefined
  /** The steps that follow the completion of a file, which is `held` until those that block it have passed; not given: none. */
  newSteps?: ((upload: Upload) => NewStep[]) | undefined
  /** How long the part lock of a node that died blocks the part for others. */
  partLockMs?: number | undefined
  newId(): string
  now(): Date
  /** Called after the owner check; not given: the owner check is the only one. */
  authorizer?: Authorizer | undefined
  /** Called once for every body that was read, with how it ended and the number of bytes taken. */
  onBody?: ((end: BodyEnd, bytes: number) => void) | undefined
  /** Called with errors of work that no request waits for. */
  onError(error: unknown, facts: Facts): void
}
