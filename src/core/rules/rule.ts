import type { Actor, Wish } from '../upload.ts'
import type { Policy } from '../policy.ts'

/** What a rule looks at when an upload is created. */
export interface Question {
  actor: Actor
  wish: Wish & { category: string }
  policy: Policy
}

/** Refuses by throwing an `UploadError`; otherwise says nothing. Pure. */
export type Rule = (question: Question) => void
