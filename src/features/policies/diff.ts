import type { PolicyDocument } from '../../core/policy/policy.ts'
import { writePolicyDocument } from './schema.ts'

/** What one place of a document said and says, as people write it. Absent: it said nothing there; `null`: no limit. */
export interface Difference {
  /** Such as `roles.member.maxSize` in its steps: names may have dots in them. */
  path: string[]
  before?: unknown
  after?: unknown
}

/** Where `after` says something else than `before`, in the order in which documents are written. */
export function diffPolicies(before: PolicyDocument, after: PolicyDocument): Difference[] {
  const old = placesOf(before)
  const young = placesOf(after)
  const places = new Set([...old.keys(), ...young.keys()])
  return [...places]
    .filter((place) => JSON.stringify(old.get(place)) !== JSON.stringify(young.get(place)))
    .toSorted()
    .map((place) => ({
      path: JSON.parse(place) as string[],
      ...(old.has(place) && { before: old.get(place) }),
      ...(young.has(place) && { after: young.get(place) }),
    }))
}

type Rules = Record<string, unknown>

/** Every field that is said, by its path in JSON. A section counts too, empty or not: a role that has one may upload. */
function placesOf(document: PolicyDocument): Map<string, unknown> {
  const places = new Map<string, unknown>()
  const { default: fallback, roles, tenants, users } = writePolicyDocument(document) as Record<string, Rules>
  const visit = (rules: Rules, path: string[]) => {
    const said = Object.entries(rules).filter(([field]) => field !== 'users')
    if (said.length === 0 && path.length > 1) places.set(JSON.stringify(path), {})
    for (const [field, value] of said) places.set(JSON.stringify([...path, field]), value)
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
  return places
}
