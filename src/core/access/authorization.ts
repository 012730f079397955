import type { Actor, CreateUpload, MaybeMeasured, UnmeasuredUpload } from '../upload.ts'
import { toUpload } from '../upload-state.ts'
import { authorizeOwner } from './access.ts'
import type { Action } from './actions.ts'

/** A question to an authorizer: about `upload`, or about a new one as `creation` describes it. */
export interface AuthorizationRequest {
  actor: Actor
  action: Action
  /** Its offset is left out where it was not read, as for a numbered part. */
  upload?: MaybeMeasured
  creation?: CreateUpload
}

/**
 * Decides after the owner check: API keys that may have been revoked, and the operator's own code. Called when a request starts, and
 * again before an upload is completed; never while a body is being read.
 * @throws UploadError to refuse, which deletes nothing
 */
export type Authorizer = (request: AuthorizationRequest) => Promise<void>

/** The two checks that every verb about an upload passes, in this order. */
export interface Authorization {
  /** For the locker, which checks before it asks a lock holder to stop. @throws UploadError as `authorizeOwner` */
  ownerCheck(actor: Actor, action: Action): (upload: UnmeasuredUpload) => void
  /** @throws UploadError from the authorizer */
  authorize(actor: Actor, action: Action, upload: UnmeasuredUpload): Promise<void>
  /** The same for a question that is not about an upload that exists. */
  authorizeRequest: Authorizer
}

/** The owner check, and after it `authorizer`. */
export function createAuthorization(authorizer: Authorizer, now: () => Date): Authorization {
  return {
    ownerCheck: (actor, action) => (upload) => authorizeOwner(actor, upload, action, now()),
    authorize: (actor, action, upload) => authorizer({ actor, action, upload: toUpload(upload) }),
    authorizeRequest: authorizer,
  }
}
