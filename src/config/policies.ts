import { z } from 'zod'
import { categories, defaultPolicies, type Policies, type Policy } from '../core/policy.ts'
import { duration, size } from './values.ts'

const change = z.strictObject({
  maxSize: size.optional(),
  mediaTypes: z
    .array(z.string().regex(/^[^/\s]+\/[^/\s]+$/, 'expected a media type such as image/*'))
    .min(1)
    .optional(),
  categories: z.array(z.enum(categories)).min(1).optional(),
  timeToLive: duration.optional(),
})

const changes = z.record(z.string().regex(/^[\w-]{1,64}$/, 'expected a role name'), change.nullable())

/**
 * The policies that result from changes to the built-in ones, written as JSON: role → what differs, or `null` to take
 * the role away. A role that is not built in starts from nothing and must say everything.
 */
export const policies = z.string().transform((text, context): Policies => {
  const said = changes.safeParse(parseJson(text))
  if (!said.success) {
    for (const { path, message } of said.error.issues) {
      context.issues.push({ code: 'custom', input: text, message: [...path, message].join(': ') })
    }
    return z.NEVER
  }

  const merged: Policies = { ...defaultPolicies }
  for (const [role, difference] of Object.entries(said.data)) {
    if (difference === null) {
      delete merged[role]
      continue
    }
    const { timeToLive, ...rest } = difference
    const policy: Draft = { ...merged[role], ...rest, ...(timeToLive && { timeToLiveMs: timeToLive }) }
    if (isWhole(policy)) merged[role] = policy
    else context.issues.push({ code: 'custom', input: text, message: `${role}: a new role must say all of ${fields}` })
  }
  return merged
})

type Draft = { [Field in keyof Policy]?: Policy[Field] | undefined }

const fields = Object.keys(change.shape).join(', ')

function isWhole(policy: Draft): policy is Policy {
  return [policy.maxSize, policy.mediaTypes, policy.categories, policy.timeToLiveMs].every((part) => part !== undefined)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
