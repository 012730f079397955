import { normalizeMediaType } from '../content/media-type.ts'
import { type Code, UploadError } from '../errors.ts'
import type { Rule } from '../rules/rule.ts'
import { tooLarge } from '../rules/size.ts'
import type { Actor, Wish } from '../upload.ts'
import {
  categoryOf,
  type EffectivePolicy,
  effectivePolicy,
  type Policy,
  type PolicyDocument,
  type PolicySource,
} from './policy.ts'
import { quotaRefusals, type Usage } from './quota.ts'

/** What a wish is asked about: a file that somebody would like to send. */
export type ExplainedWish = Pick<Wish, 'filename' | 'contentType' | 'size' | 'category'>

/** Why a rule says no. */
export interface Reason {
  /** The field of the policy that says no; `role` when there is no policy, `store` when the file is too much for the store, `request` when no policy could allow it. */
  rule: string
  code: Code
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

export interface Circumstances {
  policies: PolicyDocument
  rules: Rule[]
  /** Bytes; the largest object that the store takes. */
  maxObjectSize: number
  /** What the user has sent already; `null`: ask only what does not depend on it. */
  usage: Usage | null
  now: Date
}

/** Whether `actor` may send the file, which rule decides it, and why. It changes nothing. */
export function explain(actor: Actor, wish: ExplainedWish, circumstances: Circumstances): Explanation {
  const { policies, rules, maxObjectSize, usage, now } = circumstances
  const effective = effectivePolicy(policies, actor)
  if (!effective) {
    const why = `There is no policy for the role ${actor.role}: it may not send files.`
    return { isAllowed: false, reasons: [{ rule: 'role', code: 'ROLE_NOT_ALLOWED', why, from: null }], effective: null }
  }
  const { policy } = effective
  const refusals: UploadError[] = []
  const contentType = heard(() => normalizeMediaType(wish.contentType), refusals)
  if (contentType !== undefined) {
    const full = { ...wish, contentType, category: wish.category ?? categoryOf(contentType) }
    for (const rule of rules) heard(() => rule({ actor, wish: full, policy }), refusals)
    if (
      wish.size !== null &&
      wish.size > maxObjectSize &&
      refusals.every((refusal) => refusal.facts.rule !== 'maxSize')
    )
      refusals.push(tooLarge(actor.role, maxObjectSize, wish.size, 'store'))
    if (usage) refusals.push(...quotaRefusals(policy, usage, { size: wish.size, isFile: true }, now))
  }
  const reasons = refusals.map((refusal) => reasonOf(refusal, effective))
  return { isAllowed: reasons.length === 0, reasons, effective }
}

function heard<T>(ask: () => T, refusals: UploadError[]): T | undefined {
  try {
    return ask()
  } catch (error) {
    if (!(error instanceof UploadError)) throw error
    refusals.push(error)
    return undefined
  }
}

function reasonOf({ code, message, facts }: UploadError, { sources }: EffectivePolicy): Reason {
  const rule = typeof facts.rule === 'string' ? facts.rule : 'request'
  const from = Object.hasOwn(sources, rule) ? sources[rule as keyof Policy] : null
  return { rule, code, why: message, from }
}
