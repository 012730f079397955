import type { Actor, CreateUpload } from '../../upload.ts'
import type { Policy } from '../policy.ts'

/** What a rule checks when an upload is created. */
export interface RuleInput {
  actor: Actor
  creation: CreateUpload & { category: string }
  policy: Policy
}

/** Throws an `UploadError` to refuse the upload. Pure. */
export type Rule = (input: RuleInput) => void
