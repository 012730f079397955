import type { Policy } from '../policy/policy.ts'
import type { Actor, Wish } from '../upload.ts'

/** What a rule looks at when an upload is created. */
export interface Question {
  actor: Actor
  wish: Wish & { category: string }
  policy: Policy
}

/** Refuses by throwing an `UploadError`; otherwise says nothing. Pure. */
export type Rule = (question: Question) => void
