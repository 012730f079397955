import type { Difference } from '../../contract/policies.ts'
import type { PolicyDocument } from '../../core/policy/policy.ts'
import { writePolicyDocument } from '../../policies/schema.ts'

/** The fields that differ between `before` and `after`, sorted by path. */
export function diffPolicies(before: PolicyDocument, after: PolicyDocument): Difference[] {
  const oldFields = fieldsOf(before)
  const newFields = fieldsOf(after)
  const paths = new Set([...oldFields.keys(), ...newFields.keys()])
  return [...paths]
    .filter((path) => JSON.stringify(oldFields.get(path)) !== JSON.stringify(newFields.get(path)))
    .toSorted()
    .map((path) => ({
      path: JSON.parse(path) as string[],
      ...(oldFields.has(path) && { before: oldFields.get(path) }),
      ...(newFields.has(path) && { after: newFields.get(path) }),
    }))
}

type Rules = Record<string, unknown>

/** Every field that is set, by its path in JSON. An empty section counts as a field: a role that has one may upload. */
function fieldsOf(document: PolicyDocument): Map<string, unknown> {
  const fields = new Map<string, unknown>()
  const { default: fallback, roles, tenants, users } = writePolicyDocument(document) as Record<string, Rules>
  const visit = (rules: Rules, path: string[]) => {
    const own = Object.entries(rules).filter(([field]) => field !== 'users')
    if (own.length === 0 && path.length > 1) fields.set(JSON.stringify(path), {})
    for (const [field, value] of own) fields.set(JSON.stringify([...path, field]), value)
  }
  const visitEach = (sections: Rules, path: string[]) => {
    for (const [name, rules] of Object.entries(sections)) visit(rules as Rules, [...path, name])
  }
  visit(fallback!, ['default'])
  visitEach(roles!, ['roles'])
  visitEach(tenants!, ['tenants'])
  for (const [name, rules] of Object.entries(tenants!))
    visitEach((rules as { users?: Rules }).users ?? {}, ['tenants', name, 'users'])
  visitEach(users!, ['users'])
  return fields
}
