/*
 * The JSON form of policies, with sizes such as "10 GiB" and times such as "7 days". Stored and returned documents are in a canonical
 * form, so that two versions differ only where their meaning differs.
 */
import { z } from 'zod'
import { categories } from '../core/policy/categories.ts'
import type { Forms } from '../core/policy/fields.ts'
import { type Policy, type PolicyDocument, type PolicyRules, policyFields, policyForms } from '../core/policy/policy.ts'
import { parseDuration, parseSize, writeDuration, writeSize } from '../core/units.ts'

const KiB = 1024
const second = 1000
// The largest Postgres `integer`, the type of the columns that count uploads and files.
const largestCount = 2 ** 31 - 1
// A thousand years, so that the year of an expiry has four digits.
const longest = 365_000 * 24 * 60 * 60 * second

/** A whole number, or a text that `parse` accepts. */
function quantity(
  parse: (text: string) => number | null,
  least: number,
  expected: string,
  most = Number.MAX_SAFE_INTEGER,
) {
  return z.unknown().transform((input, context): number => {
    const value = typeof input === 'string' ? parse(input) : input
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= least && value <= most) return value
    context.issues.push({ code: 'custom', input, message: `expected ${expected}, or null for no limit` })
    return z.NEVER
  })
}

const size = quantity(parseSize, 0, 'a size such as "8 MiB"')
const speed = quantity(parseSize, KiB, 'bytes a second such as "5 MiB", at least 1 KiB')
const partSize = quantity(parseSize, 64 * KiB, 'a size of at least 64 KiB')
const duration = quantity(
  parseDuration,
  second,
  'a time such as "7 days", at least a second and at most 365000 days',
  longest,
)
const whole = (text: string) => (/^\d+$/.test(text) ? Number(text) : null)
const count = quantity(whole, 0, `a whole number of at most ${largestCount}`, largestCount)
const rate = quantity(whole, 1, `a whole number of at least 1 and at most ${largestCount}`, largestCount)

const mediaType = z
  .string()
  .max(200)
  .regex(/^[^/\s]+\/[^/\s]+$/, 'expected a media type such as image/*')
const glob = z.string().min(1).max(200)
const fileNames = z.strictObject({
  allow: z.array(glob).min(1).max(100).nullable().default(null),
  deny: z.array(glob).max(100).default([]),
  maxLength: z.int().min(1).max(1024).nullable().default(null),
})

/** The JSON of each form of value. */
const forms: { [Form in keyof Forms]: z.ZodType<Forms[Form]> } = {
  size,
  partSize,
  speed,
  duration,
  count,
  rate,
  mediaTypes: z.array(mediaType).min(1).max(500),
  categories: z.array(z.enum(categories)).min(1),
  fileNames,
}

/** The fields that a section may have. */
export const policyFieldNames = policyFields.map(fieldName)
const ruleShape = Object.fromEntries(
  policyFields.map((field) => [fieldName(field), forms[policyForms[field]].nullable().optional()]),
)

/** One section: the fields of a policy, all of them optional. */
export const rulesSchema = z.strictObject(ruleShape).transform(toRules)

const tenantSchema = z
  .strictObject({ ...ruleShape, users: z.record(z.string().min(1).max(128), rulesSchema).optional() })
  .transform(({ users, ...rules }) => ({ ...toRules(rules), ...(users && { users }) }))

/** The name of a role, as tokens may carry it. */
export const roleName = z.string().regex(/^[\w-]{1,64}$/, 'expected a role name')

const documentSchema = z.strictObject({
  default: rulesSchema.default({}),
  roles: z.record(roleName, rulesSchema),
  tenants: z.record(z.string().min(1).max(128), tenantSchema).default({}),
  users: z.record(z.string().min(1).max(128), rulesSchema).default({}),
})

/** A policy document that cannot be used. `problems` has the path and the reason of each problem. */
export class PolicyError extends Error {
  override name = 'PolicyError'
  readonly problems: string[]

  constructor(problems: string[]) {
    super(problems.join('; '))
    this.problems = problems
  }
}

/** The policies that `json` describes. @throws PolicyError with all problems at once */
export function readPolicyDocument(json: unknown): PolicyDocument {
  const read = documentSchema.safeParse(json)
  if (!read.success) throw new PolicyError(read.error.issues.flatMap(problemsOf))
  const document = read.data
  const problems = Object.entries(document.roles).flatMap(([role, rules]) => {
    const missing = missingFields(document.default, rules)
    return missing.length === 0
      ? []
      : [`roles.${role}: must set ${missing.join(', ')}, here or under default; null is no limit`]
  })
  if (problems.length > 0) throw new PolicyError(problems)
  return document
}

/** The JSON form of `document`: fields in a fixed order, values in the largest units that fit. */
export function writePolicyDocument(document: PolicyDocument): Record<string, unknown> {
  return {
    default: writeRules(document.default),
    roles: writeEach(document.roles, writeRules),
    tenants: writeEach(document.tenants, ({ users, ...rules }) => ({
      ...writeRules(rules),
      ...(users && { users: writeEach(users, writeRules) }),
    })),
    users: writeEach(document.users, writeRules),
  }
}

/** The JSON form of the value of one field. */
export function writeValue<Field extends keyof Policy>(field: Field, value: Policy[Field]): unknown {
  if (typeof value !== 'number') return value
  const form: keyof Forms = policyForms[field]
  if (form === 'duration') return writeDuration(value)
  return form === 'size' || form === 'partSize' || form === 'speed' ? writeSize(value) : value
}

/** The name of a policy field in a document. */
export function fieldName(field: keyof Policy): string {
  return field === 'timeToLiveMs' ? 'timeToLive' : field
}

/** The fields that a role must set but does not: left out by mistake, they would silently mean no limit. */
export function missingFields(fallback: PolicyRules, rules: PolicyRules): string[] {
  const required = ['maxSize', 'mediaTypes', 'categories', 'timeToLiveMs'] as const
  return required.filter((field) => rules[field] === undefined && fallback[field] === undefined).map(fieldName)
}

/** Path and reason, one line per problem of an issue. */
export function problemsOf({ path, message, ...issue }: z.core.$ZodIssue): string[] {
  const at = (...more: PropertyKey[]) => [...path, ...more].map(String).join('.')
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map(
      (key) => `${at(key)}: there is no such field${path.length > 0 ? `; the fields are ${fieldList}` : ''}`,
    )
  return [path.length > 0 ? `${at()}: ${message}` : message]
}

const fieldList = policyFieldNames.join(', ')

function toRules(given: Record<string, unknown>): PolicyRules {
  const values = policyFields.map((field) => [field, given[fieldName(field)]] as const)
  return Object.fromEntries(values.filter(([, value]) => value !== undefined))
}

function writeRules(rules: PolicyRules): Record<string, unknown> {
  const given = Object.entries(rules).filter(([, value]) => value !== undefined) as [keyof Policy, never][]
  const written = new Map(given.map(([field, value]) => [fieldName(field), writeValue(field, value)]))
  return Object.fromEntries(
    policyFieldNames.filter((name) => written.has(name)).map((name) => [name, written.get(name)]),
  )
}

function writeEach<T>(sections: Record<string, T>, write: (section: T) => unknown): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(sections)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, section]) => [name, write(section)]),
  )
}
