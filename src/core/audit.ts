import type { ErrorCode } from './errors/error.ts'
import type { ClientInfo } from './upload.ts'

/** What is written down, by what happened and to what. */
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
  /** Refusals that came too thick to be written down, by their number. */
  | 'audit.drop'

/** One line of the record. It holds no secrets: no tokens, no keys, nothing of a file. */
export interface AuditEntry {
  action: AuditAction
  isAllowed: boolean
  /** `null`: the server itself, or nobody knows who. */
  by: AuditActor | null
  uploadId?: string | null
  /** What else it was done to: a version of the policies, the id of a key. */
  target?: string | null
  code?: ErrorCode | null
  rule?: string | null
  times?: number
  note?: string | null
}

/** Who did it and from where, as far as it is known. */
export interface AuditActor {
  id: string | null
  role: string | null
  tenant?: string | null | undefined
  keyId?: string | null | undefined
  from?: ClientInfo | undefined
}
