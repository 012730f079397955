import type { ErrorCode } from './errors/error.ts'
import type { ClientInfo } from './upload.ts'

/** What the audit log records. */
export type AuditAction =
  | 'upload.create'
  | 'upload.complete'
  | 'upload.cancel'
  | 'upload.expire'
  | 'upload.fail'
  | 'request.refuse'
  | 'policy.change'
  | 'key.create'
  | 'key.revoke'
  | 'token.issue'
  | 'webhook.create'
  | 'webhook.change'
  | 'webhook.delete'
  | 'webhook.rotate'
  | 'webhook.replay'
  /** By the server itself: it failed for days, or wants no more events. */
  | 'webhook.pause'
  /** Refused requests that were too many to be recorded one by one; `times` has their number. */
  | 'audit.drop'

/** One entry of the audit log. It contains no secrets: no tokens, no keys, no content of files. */
export interface AuditEntry {
  action: AuditAction
  isAllowed: boolean
  /** `null`: the server itself, or unknown. */
  by: AuditActor | null
  uploadId?: string | null
  /** The object of the action when it is not an upload: a version of the policies, the id of a key. */
  target?: string | null
  code?: ErrorCode | null
  rule?: string | null
  times?: number
  note?: string | null
}

/** The actor and its client, as far as they are known. */
export interface AuditActor {
  id: string | null
  role: string | null
  tenant?: string | null | undefined
  keyId?: string | null | undefined
  client?: ClientInfo | undefined
}
