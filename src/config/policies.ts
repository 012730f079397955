import { z } from 'zod'
import { defaultPolicies, type PolicyDocument } from '../core/policy/policy.ts'
import { missingFields, problemsOf, roleName, rulesSchema } from '../features/policies/schema.ts'

const changes = z.record(roleName, rulesSchema.nullable())

/**
 * The policies that result from changes to the built-in ones, written as JSON: role → what differs, or `null` to take
 * the role away. A role that is not built in starts from nothing and must say at least who may send what.
 */
export const policies = z.string().transform((text, context): PolicyDocument => {
  const refuse = (message: string) => context.issues.push({ code: 'custom', input: text, message })
  const said = changes.safeParse(parseJson(text))
  if (!said.success) {
    for (const problem of said.error.issues.flatMap(problemsOf)) refuse(problem)
    return z.NEVER
  }

  const roles: PolicyDocument['roles'] = { ...defaultPolicies.roles }
  for (const [role, difference] of Object.entries(said.data)) {
    if (difference === null) {
      delete roles[role]
      continue
    }
    const rules = { ...(Object.hasOwn(roles, role) ? roles[role] : {}), ...difference }
    const open = missingFields({}, rules)
    if (open.length > 0) refuse(`${role}: a new role must also say ${open.join(', ')}; null is no limit`)
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
