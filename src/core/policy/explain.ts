import { type ErrorCode, UploadError } from '../errors/error.ts'
import { normalizeMediaType } from '../media/media-type.ts'
import type { Actor, CreateUpload } from '../upload.ts'
import { categoryOf } from './categories.ts'
import type { CreationRule } from './policy.ts'
import { type EffectivePolicy, effectivePolicy, type Policy, type PolicyDocument, type PolicySource } from './policy.ts'
import { quotaErrors, type Usage } from './quota.ts'
import { tooLarge } from './rules/size.ts'

/** A file that a client would like to send. */
export type ExplainRequest = Pick<CreateUpload, 'filename' | 'contentType' | 'size' | 'category'>

/** Why a rule refuses the file. */
export interface Reason {
  /**
   * The field of the policy that refuses it; `role` when there is no policy, `store` when the file is too large for the store, `request`
   * when no policy could allow it.
   */
  rule: string
  code: ErrorCode
  why: string
  /** The section of the policies with the deciding value; `null` when it is not in the policies. */
  from: PolicySource | null
}

export interface Explanation {
  isAllowed: boolean
  /** In the order of the rules: the first one is the error that a client would get. */
  reasons: Reason[]
  /** `null` for a role that may not upload. */
  effective: EffectivePolicy | null
}

export interface ExplainContext {
  policies: PolicyDocument
  rules: CreationRule[]
  /** Bytes; the largest object that the store takes. */
  maxObjectSize: number
  /** What the user has sent already; `null`: quotas are not checked. */
  usage: Usage | null
  now: Date
}

/** Whether `actor` may send the file, which rule decides it, and why. Changes nothing. */
export function explain(actor: Actor, file: ExplainRequest, context: ExplainContext): Explanation {
  const { policies, rules, maxObjectSize, usage, now } = context
  const effective = effectivePolicy(policies, actor)
  if (!effective) {
    const why = `There is no policy for the role ${actor.role}: it may not send files.`
    return { isAllowed: false, reasons: [{ rule: 'role', code: 'ROLE_NOT_ALLOWED', why, from: null }], effective: null }
  }
  const { policy } = effective
  const errors: UploadError[] = []
  const contentType = tryRule(() => normalizeMediaType(file.contentType), errors)
  if (contentType !== undefined) {
    const creation = { ...file, contentType, category: file.category ?? categoryOf(contentType) }
    for (const rule of rules) tryRule(() => rule({ actor, creation, policy }), errors)
    const { size } = file
    if (size !== null && size > maxObjectSize && errors.every((error) => error.facts.rule !== 'maxSize'))
      errors.push(tooLarge(actor.role, maxObjectSize, size, 'store'))
    if (usage) errors.push(...quotaErrors(policy, usage, { size, isFile: true }, now))
  }
  const reasons = errors.map((error) => reasonOf(error, effective))
  return { isAllowed: reasons.length === 0, reasons, effective }
}

function tryRule<T>(rule: () => T, errors: UploadError[]): T | undefined {
  try {
    return rule()
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
