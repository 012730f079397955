import type { Actor } from '../upload.ts'
import { matchesGlob } from './glob.ts'

/** The kinds of file a category can be; chosen by media type unless the client says one. */
export const categories = ['image', 'video', 'audio', 'document', 'other'] as const
export type Category = (typeof categories)[number]

/** What file names must look like. `*` stands for any run of characters and `?` for one; case does not matter. */
export interface FileNames {
  /** A name must match one of these; `null`: any name. */
  allow: string[] | null
  /** A name that matches one of these is refused, also when it is allowed above. */
  deny: string[]
  /** Characters; `null`: no other bound than the server's own. */
  maxLength: number | null
}

/** What somebody may upload, as data. Sizes are bytes, `null` is no limit. */
export interface Policy {
  maxSize: number | null
  /** Media types, each exact (`image/png`) or with a wildcard (`image/*`, or all of them). */
  mediaTypes: string[] | null
  categories: Category[] | null
  fileNames: FileNames | null
  /** Uploads that are neither complete nor ended in another way. */
  uploadsAtOnce: number | null
  creationsPerMinute: number | null
  /** Of one user at one server. */
  requestsPerMinute: number | null
  /** All bodies of one user together, at one server. */
  bytesPerSecond: number | null
  bytesPerDay: number | null
  filesPerDay: number | null
  /** What a user's files and unfinished uploads may take together. */
  totalBytes: number | null
  totalFiles: number | null
  /** How long an unfinished upload lives after its last byte. */
  timeToLiveMs: number | null
  /** What parts have unless the file needs larger ones; `null`: as the server's settings say. */
  partSize: number | null
  /** What the chunks have that a client sends by number; `null`: as `partSize`, or as the server's settings say. */
  chunkSize: number | null
}

/** What one section of a policy document says. What it does not say, a more general one does. */
export type PolicyRules = { [Field in keyof Policy]?: Policy[Field] | undefined }

/** Rules for everybody of a tenant, and for single users of it. */
export type TenantRules = PolicyRules & { users?: Record<string, PolicyRules> | undefined }

/**
 * Who may upload what. The most specific section that says something about a field decides it: user, tenant, role,
 * default. A role that has no section may not upload, whatever the others say.
 */
export interface PolicyDocument {
  default: PolicyRules
  roles: Record<string, PolicyRules>
  tenants: Record<string, TenantRules>
  /** Users of no tenant, by id. */
  users: Record<string, PolicyRules>
}

/** Where the value of a field comes from; `default` also when nobody says anything. */
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

/** What holds where the operator says nothing else. Each role has quotas, so that one user cannot fill the store unnoticed. */
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

/** The fields of a policy, in the order in which people read them. */
export const policyFields = Object.keys(unlimited) as (keyof Policy)[]

/** The policy that `document` has for `actor`, with the origin of each value; `null` when the role may not upload. */
export function effectivePolicy(document: PolicyDocument, actor: Actor): EffectivePolicy | null {
  const role = own(document.roles, actor.role)
  if (!role) return null
  const tenant = actor.tenant ? own(document.tenants, actor.tenant) : undefined
  const user = own((actor.tenant ? tenant?.users : document.users) ?? {}, actor.id)
  if (tenant || user) return merge(document, role, tenant, user)
  // Most users are like all others of their role, and every request asks.
  const known = ofRoles.get(document) ?? new Map<PolicyRules, EffectivePolicy>()
  const plain = known.get(role) ?? merge(document, role, undefined, undefined)
  ofRoles.set(document, known.set(role, plain))
  return plain
}

const ofRoles = new WeakMap<PolicyDocument, Map<PolicyRules, EffectivePolicy>>()

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

/** The largest file that anybody may send, in bytes, for those who ask before they say who they are. */
export function largestSize(document: PolicyDocument): number {
  return mostOf(document, 'maxSize', Number.MAX_SAFE_INTEGER)
}

/** For how long, in milliseconds, an unfinished upload may wait for its next byte at most; `Infinity`: for ever. */
export function longestLife(document: PolicyDocument): number {
  return mostOf(document, 'timeToLiveMs', Number.POSITIVE_INFINITY)
}

function mostOf(
  { default: fallback, roles, tenants, users }: PolicyDocument,
  field: 'maxSize' | 'timeToLiveMs',
  unlimited: number,
): number {
  let most = 0
  const look = ({ [field]: value = 0 }: PolicyRules) => {
    most = Math.max(most, value ?? unlimited)
  }
  look(fallback)
  for (const sections of [roles, tenants, users]) Object.values<PolicyRules>(sections).forEach(look)
  for (const tenant of Object.values(tenants)) Object.values(tenant.users ?? {}).forEach(look)
  return most
}

/** Roles, tenants and users are named by tokens: one named like a member of Object must not find it. */
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
