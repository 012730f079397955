import type { Actor } from '../upload.ts'
import { matchesGlob } from './glob.ts'

/** Categories of files. The media type decides unless the client names one. */
export const categories = ['image', 'video', 'audio', 'document', 'other'] as const
export type Category = (typeof categories)[number]

/** Which file names are allowed. `*` stands for any run of characters and `?` for one; case does not matter. */
export interface FileNames {
  /** A name must match one of these; `null`: any name. */
  allow: string[] | null
  /** A name that matches one of these is refused even if `allow` has it. */
  deny: string[]
  /** Characters; `null`: only the server's own limit. */
  maxLength: number | null
}

/** What a user may upload. Sizes are bytes, `null` is no limit. */
export interface Policy {
  maxSize: number | null
  /** Media types, each exact (`image/png`) or with a wildcard (`image/*`, or all of them). */
  mediaTypes: string[] | null
  categories: Category[] | null
  fileNames: FileNames | null
  /** Uploads in progress: neither completed nor ended otherwise. */
  uploadsAtOnce: number | null
  creationsPerMinute: number | null
  /** Of one user, at each server. */
  requestsPerMinute: number | null
  /** Of all bodies of one user together, at each server. */
  bytesPerSecond: number | null
  bytesPerDay: number | null
  filesPerDay: number | null
  /** Of a user's files and unfinished uploads together. */
  totalBytes: number | null
  totalFiles: number | null
  /** How long after its last byte an unfinished upload expires. */
  timeToLiveMs: number | null
  /** The size of a part unless the file needs larger ones; `null`: the server's setting. */
  partSize: number | null
  /** The size of a part that clients send by number; `null`: `partSize`, or the server's setting. */
  chunkSize: number | null
}

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

const documentTypes = [
  'application/pdf',
  'application/rtf',
  'application/msword',
  'application/vnd.ms-*',
  'application/vnd.openxmlformats-officedocument.*',
  'application/vnd.oasis.opendocument.*',
  'application/epub+zip',
  'text/*',
]

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

const unlimited: Policy = {
  maxSize: null,
  mediaTypes: null,
  categories: null,
  fileNames: null,
  uploadsAtOnce: null,
  creationsPerMinute: null,
  requestsPerMinute: null,
  bytesPerSecond: null,
  bytesPerDay: null,
  filesPerDay: null,
  totalBytes: null,
  totalFiles: null,
  timeToLiveMs: null,
  partSize: null,
  chunkSize: null,
}

/** The fields of a policy, in the order in which they are shown. */
export const policyFields = Object.keys(unlimited) as (keyof Policy)[]

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
  const policy: Record<string, unknown> = { ...unlimited }
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

/** Whether `mediaType` (lower case, no parameters) matches one of `patterns`; `*` stands for any run of characters. */
export function matchesMediaType(mediaType: string, patterns: string[]): boolean {
  return patterns.some((pattern) => matchesGlob(mediaType, pattern))
}

/** The category a media type belongs to. */
export function categoryOf(mediaType: string): Category {
  if (mediaType.startsWith('image/')) return 'image'
  if (mediaType.startsWith('video/')) return 'video'
  if (mediaType.startsWith('audio/')) return 'audio'
  return matchesMediaType(mediaType, documentTypes) ? 'document' : 'other'
}
