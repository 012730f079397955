import { type ErrorCode, UploadError } from '../errors/error.ts'
import { normalizeMediaType } from '../media/media-type.ts'
import type { Actor, CreateUpload } from '../upload.ts'
import {
  categoryOf,
  type EffectivePolicy,
  effectivePolicy,
  type Policy,
  type PolicyDocument,
  type PolicySource,
} from './policy.ts'
import { quotaErrors, type Usage } from './quota.ts'
import type { Rule } from './rules/rule.ts'
import { tooLarge } from './rules/size.ts'

/** What a wish is asked about: a file that somebody would like to send. */
export type ExplainRequest = Pick<CreateUpload, 'filename' | 'contentType' | 'size' | 'category'>

/** Why a rule says no. */
export interface Reason {
  /** The field of the policy that says no; `role` when there is no policy, `store` when the file is too much for the store, `request` when no policy could allow it. */
  rule: string
  code: ErrorCode
  why: string
  /** Which section of the policies has the value that decides; `null` where none does. */
  from: PolicySource | null
}

export interface Explanation {
  isAllowed: boolean
  /** In the order in which they are asked: the first one is what a client would be told. */
  reasons: Reason[]
  /** `null` for a role that may not upload. */
  effective: EffectivePolicy | null
}

export interface ExplainContext {
  policies: PolicyDocument
  rules: Rule[]
  /** Bytes; the largest object that the store takes. */
  maxObjectSize: number
  /** What the user has sent already; `null`: ask only what does not depend on it. */
  usage: Usage | null
  now: Date
}

/** Whether `actor` may send the file, which rule decides it, and why. It changes nothing. */
export function explain(actor: Actor, explainRequest: ExplainRequest, circumstances: ExplainContext): Explanation {
  const { policies, rules, maxObjectSize, usage, now } = circumstances
  const effective = effectivePolicy(policies, actor)
  if (!effective) {
    const why = `There is no policy for the role ${actor.role}: it may not send files.`
    return { isAllowed: false, reasons: [{ rule: 'role', code: 'ROLE_NOT_ALLOWED', why, from: null }], effective: null }
  }
  const { policy } = effective
  const errors: UploadError[] = []
  const contentType = tryRule(() => normalizeMediaType(explainRequest.contentType), errors)
  if (contentType !== undefined) {
    const full = { ...explainRequest, contentType, category: explainRequest.category ?? categoryOf(contentType) }
    for (const rule of rules) tryRule(() => rule({ actor, creation: full, policy }), errors)
    if (
      explainRequest.size !== null &&
      explainRequest.size > maxObjectSize &&
      errors.every((error) => error.facts.rule !== 'maxSize')
    )
      errors.push(tooLarge(actor.role, maxObjectSize, explainRequest.size, 'store'))
    if (usage) errors.push(...quotaErrors(policy, usage, { size: explainRequest.size, isFile: true }, now))
  }
  const reasons = errors.map((error) => reasonOf(error, effective))
  return { isAllowed: reasons.length === 0, reasons, effective }
}

function tryRule<T>(ask: () => T, errors: UploadError[]): T | undefined {
  try {
    return ask()
  } catch (error) {
    if (!(error instanceof UploadError)) throw error
    errors.push(error)
    return undefined
  }
}

function reasonOf({ code, message, facts }: UploadError, { sources }: EffectivePolicy): Reason {
  const rule = typeof facts.rule === 'string' ? facts.rule : 'request'
  const from = Object.hasOwn(sources, rule) ? sources[rule as keyof Policy] : null
  return { rule, code, why: message, from }
}
