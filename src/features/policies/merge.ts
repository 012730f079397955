import type { PolicyDocument } from '../../core/policy/policy.ts'
import { PolicyError, readPolicyDocument, writePolicyDocument } from '../../policies/schema.ts'

type Rules = Record<string, unknown>

/**
 * `document` with the changes of the partial document `json`: a field that it sets replaces the old value, a role, tenant or user that is
 * `null` is removed, everything else stays.
 * @throws PolicyError with all problems at once
 */
export function mergePolicies(document: PolicyDocument, json: unknown): PolicyDocument {
  if (!isRules(json)) throw new PolicyError(['expected a JSON object'])
  const merged = { ...writePolicyDocument(document) } as Record<string, Rules>
  for (const [name, changes] of Object.entries(json)) {
    if (!isRules(changes)) throw new PolicyError([`${name}: expected a JSON object`])
    merged[name] = name === 'default' ? { ...merged.default, ...changes } : mergeEach(merged[name], changes)
  }
  return readPolicyDocument(merged)
}

/** The roles of `before` that are missing in `after`: their users could no longer upload. */
export function removedRoles(before: PolicyDocument, after: PolicyDocument): string[] {
  return Object.keys(before.roles).filter((role) => !Object.hasOwn(after.roles, role))
}

/** Merges sections field by field; the users of a tenant are sections as well. */
function mergeEach(sections: Rules = {}, changes: Rules): Rules {
  const merged = { ...sections }
  for (const [name, change] of Object.entries(changes)) {
    const before = own(merged, name)
    if (change === null) delete merged[name]
    else if (!isRules(change) || !isRules(before)) merged[name] = change
    else merged[name] = { ...before, ...change, ...usersOf(before, change) }
  }
  return merged
}

function usersOf(before: Rules, change: Rules): Rules {
  return isRules(before.users) && isRules(change.users) ? { users: mergeEach(before.users, change.users) } : {}
}

function own(sections: Rules, name: string): unknown {
  return Object.hasOwn(sections, name) ? sections[name] : undefined
}

function isRules(value: unknown): value is Rules {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
