import type { Actor, CreateUpload } from '../../upload.ts'
import type { Policy } from '../policy.ts'

/** What a rule looks at when an upload is created. */
export interface RuleInput {
  actor: Actor
  creation: CreateUpload & { category: string }
  policy: Policy
}

/** Refuses by throwing an `UploadError`; otherwise says nothing. Pure. */
export type Rule = (question: RuleInput) => void
