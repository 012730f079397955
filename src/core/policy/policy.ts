import type { Actor } from '../upload.ts'
import { categories, documentTypes } from './categories.ts'
import type { Fields, ValuesOf } from './fields.ts'
import { creationRules } from './rules/index.ts'
import type { RuleInput } from './rules/rule.ts'
import { sizeRule } from './rules/size.ts'

/** The limits that are not checked by a rule at creation. */
const limits = {
  /** Uploads in progress: neither completed nor ended otherwise. */
  uploadsAtOnce: 'count',
  creationsPerMinute: 'rate',
  /** Of one user, at each server. */
  requestsPerMinute: 'rate',
  /** Of all bodies of one user together, at each server. */
  bytesPerSecond: 'speed',
  bytesPerDay: 'size',
  filesPerDay: 'count',
  /** Of a user's files and unfinished uploads together. */
  totalBytes: 'size',
  totalFiles: 'count',
  /** How long after its last byte an unfinished upload expires. */
  timeToLiveMs: 'duration',
  /** The size of a part unless the file needs larger ones; `null`: the server's setting. */
  partSize: 'partSize',
  /** The size of a part that clients send by number; `null`: `partSize`, or the server's setting. */
  chunkSize: 'partSize',
} as const satisfies Fields

type RuleFields = Intersection<(typeof creationRules)[number]['fields']>
type PolicyForms = RuleFields & typeof limits
type Intersection<Union> = (Union extends unknown ? (one: Union) => void : never) extends (all: infer All) => void
  ? All
  : never

/** The form of every field of a policy, in the order in which they are shown: the size first. */
export const policyForms: PolicyForms = Object.assign(
  {},
  sizeRule.fields,
  ...creationRules.map(({ fields }) => fields),
  limits,
)

/** The fields of a policy, in the order in which they are shown. */
export const policyFields = Object.keys(policyForms) as (keyof Policy)[]

/** What a user may upload. Sizes are bytes, `null` is no limit. */
export type Policy = ValuesOf<PolicyForms>

/** A rule for creations, which may read every field of the policy. */
export type CreationRule = (input: RuleInput<Policy>) => void

/** One section of a policy document. Fields that it leaves out are decided by a more general section. */
export type PolicyRules = { [Field in keyof Policy]?: Policy[Field] | undefined }

/** Rules for all users of a tenant, and for single users of it. */
export type TenantRules = PolicyRules & { users?: Record<string, PolicyRules> | undefined }

/**
 * Who may upload what. Each field is decided by the most specific section that has it: user, tenant, role, default. A role without a
 * section may not upload, whatever the other sections allow.
 */
export interface PolicyDocument {
  default: PolicyRules
  roles: Record<string, PolicyRules>
  tenants: Record<string, TenantRules>
  /** Users of no tenant, by id. */
  users: Record<string, PolicyRules>
}

/** The section that a value comes from; `default` also when no section has the field. */
export type PolicySource = 'user' | 'tenant' | 'role' | 'default'

export interface EffectivePolicy {
  policy: Policy
  sources: Record<keyof Policy, PolicySource>
}

const MiB = 1024 ** 2
const GiB = 1024 ** 3
const TiB = 1024 ** 4
const day = 24 * 60 * 60 * 1000

/** The policies of a new installation. Each role has quotas, so that one user cannot fill the store unnoticed. */
export const defaultPolicies = {
  default: {},
  roles: {
    creator: {
      maxSize: 10 * GiB,
      mediaTypes: ['*/*'],
      categories: [...categories],
      timeToLiveMs: 7 * day,
      uploadsAtOnce: 2000,
      bytesPerDay: 500 * GiB,
      filesPerDay: 100_000,
      totalBytes: 2 * TiB,
    },
    member: {
      maxSize: 2 * GiB,
      mediaTypes: ['image/*', 'video/*', 'audio/*', ...documentTypes],
      categories: ['image', 'video', 'audio', 'document'],
      timeToLiveMs: 3 * day,
      uploadsAtOnce: 500,
      bytesPerDay: 50 * GiB,
      filesPerDay: 20_000,
      totalBytes: 200 * GiB,
    },
    subscriber: {
      maxSize: 200 * MiB,
      mediaTypes: ['image/*', ...documentTypes],
      categories: ['image', 'document'],
      timeToLiveMs: day,
      uploadsAtOnce: 100,
      bytesPerDay: 5 * GiB,
      filesPerDay: 5000,
      totalBytes: 20 * GiB,
    },
  },
  tenants: {},
  users: {},
} satisfies PolicyDocument

/** The policy of `actor`, with the section that each value comes from; `null` when the role may not upload. */
export function effectivePolicy(document: PolicyDocument, actor: Actor): EffectivePolicy | null {
  const role = own(document.roles, actor.role)
  if (!role) return null
  const tenant = actor.tenant ? own(document.tenants, actor.tenant) : undefined
  const user = own((actor.tenant ? tenant?.users : document.users) ?? {}, actor.id)
  if (tenant || user) return merge(document, role, tenant, user)
  // Every request calls this, and most users have only the rules of their role.
  const cached = rolePolicies.get(document) ?? new Map<PolicyRules, EffectivePolicy>()
  const ofRole = cached.get(role) ?? merge(document, role, undefined, undefined)
  rolePolicies.set(document, cached.set(role, ofRole))
  return ofRole
}

const rolePolicies = new WeakMap<PolicyDocument, Map<PolicyRules, EffectivePolicy>>()

function merge(
  document: PolicyDocument,
  role: PolicyRules,
  tenant: PolicyRules | undefined,
  user: PolicyRules | undefined,
): EffectivePolicy {
  const sections: [PolicySource, PolicyRules | undefined][] = [
    ['user', user],
    ['tenant', tenant],
    ['role', role],
    ['default', document.default],
  ]
  const policy: Record<string, unknown> = {}
  const sources: Record<string, PolicySource> = {}
  for (const field of policyFields) {
    const [source, rules] = sections.find(([, rules]) => rules?.[field] !== undefined) ?? ['default']
    sources[field] = source
    policy[field] = rules?.[field] ?? null
  }
  return { policy: policy as unknown as Policy, sources: sources as EffectivePolicy['sources'] }
}

/** The largest file that any user may send, in bytes, for clients that ask for the limits without signing in. */
export function largestSize(document: PolicyDocument): number {
  return maxOf(document, 'maxSize', Number.MAX_SAFE_INTEGER)
}

/** The longest time to live of an unfinished upload, in milliseconds; `Infinity`: some uploads never expire. */
export function longestLife(document: PolicyDocument): number {
  return maxOf(document, 'timeToLiveMs', Number.POSITIVE_INFINITY)
}

function maxOf(
  { default: fallback, roles, tenants, users }: PolicyDocument,
  field: 'maxSize' | 'timeToLiveMs',
  unlimited: number,
): number {
  let max = 0
  const include = ({ [field]: value = 0 }: PolicyRules) => {
    max = Math.max(max, value ?? unlimited)
  }
  include(fallback)
  for (const sections of [roles, tenants, users]) Object.values<PolicyRules>(sections).forEach(include)
  for (const tenant of Object.values(tenants)) Object.values(tenant.users ?? {}).forEach(include)
  return max
}

/** Own properties only: the names come from tokens, and a role named `constructor` must not find that of Object. */
function own<T>(sections: Record<string, T>, name: string): T | undefined {
  return Object.hasOwn(sections, name) ? sections[name] : undefined
}
