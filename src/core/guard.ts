import { admit, type Permit, type Verb } from './access.ts'
import { toUpload } from './session-view.ts'
import type { Actor, Session } from './upload.ts'

/** The two questions every verb about an upload passes, in this order. */
export interface Guard {
  /** For the locker, which asks before it disturbs anybody. @throws UploadError as `admit` */
  admitted(actor: Actor, verb: Verb): (session: Session) => void
  /** @throws UploadError from whoever has the last word */
  permitted(actor: Actor, verb: Verb, session: Session): Promise<void>
}

/** The owner check, and after it `permit`. */
export function createGuard(permit: Permit, now: () => Date): Guard {
  return {
    admitted: (actor, verb) => (session) => admit(actor, session, verb, now()),
    permitted: (actor, verb, session) => permit({ actor, verb, upload: toUpload(session) }),
  }
}
