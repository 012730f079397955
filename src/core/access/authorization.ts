import type { Actor, UploadRecord } from '../upload.ts'
import { toUpload } from '../upload-view.ts'
import { type Action, type Authorizer, authorizeOwner } from './access.ts'

/** The two questions every verb about an upload passes, in this order. */
export interface Authorization {
  /** For the locker, which asks before it disturbs anybody. @throws UploadError as `admit` */
  ownerCheck(actor: Actor, action: Action): (upload: UploadRecord) => void
  /** @throws UploadError from whoever has the last word */
  authorize(actor: Actor, action: Action, upload: UploadRecord): Promise<void>
}

/** The owner check, and after it `permit`. */
export function createAuthorization(authorizer: Authorizer, now: () => Date): Authorization {
  return {
    ownerCheck: (actor, action) => (upload) => authorizeOwner(actor, upload, action, now()),
    authorize: (actor, action, upload) => authorizer({ actor, action, upload: toUpload(upload) }),
  }
}
