import { z } from 'zod'
import { defaultPolicies, type PolicyDocument } from '../core/policy/policy.ts'
import { missingFields, problemsOf, roleName, rulesSchema } from '../policies/schema.ts'

const changes = z.record(roleName, rulesSchema.nullable())

/**
 * The policies that result from changes to the built-in ones, as JSON: role → fields that differ, or `null` to remove the role. A new role
 * starts empty and must set the required fields.
 */
export const policies = z.string().transform((text, context): PolicyDocument => {
  const refuse = (message: string) => context.issues.push({ code: 'custom', input: text, message })
  const parsed = changes.safeParse(parseJson(text))
  if (!parsed.success) {
    for (const problem of parsed.error.issues.flatMap(problemsOf)) refuse(problem)
    return z.NEVER
  }

  const roles: PolicyDocument['roles'] = { ...defaultPolicies.roles }
  for (const [role, difference] of Object.entries(parsed.data)) {
    if (difference === null) {
      delete roles[role]
      continue
    }
    const rules = { ...(Object.hasOwn(roles, role) ? roles[role] : {}), ...difference }
    const missing = missingFields({}, rules)
    if (missing.length > 0) refuse(`${role}: a new role must also set ${missing.join(', ')}; null is no limit`)
    else roles[role] = rules
  }
  return { ...defaultPolicies, roles }
})

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
