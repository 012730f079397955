import type { UploadState } from './api.ts'

// What the admin API tells. Sizes are bytes, times are ISO 8601, `next` is `null` on the last page.

/** An upload of anybody. */
export interface AnyUpload {
  id: string
  user: string
  tenant: string | null
  role: string
  filename: string
  contentType: string
  category: string
  size: number | null
  /** Grows by whole parts while a body flows. */
  received: number
  state: UploadState
  failure: string | null
  concat: 'partial' | 'final' | null
  /** Somebody is writing to it right now, on whatever server. */
  live: boolean
  key: string
  objectUrl: string | null
  createdAt: string
  updatedAt: string
  completedAt: string | null
  expiresAt: string | null
}

export interface UploadDetails extends AnyUpload {
  metadata: string | null
  fingerprint: string | null
  partSize: number
  maxSize: number
  timeToLiveMs: number | null
  reserved: number | null
  etag: string | null
  parts: number
  tailObjects: number
  needsCleanup: boolean
}

/** Something that happened to an upload: `record` is who did it, `event` what listeners are told. */
export interface TimelineEntry {
  at: string
  source: 'audit' | 'event'
  what: string
  allowed: boolean
  actor: string | null
  role: string | null
  key: string | null
  address: string | null
  agent: string | null
  code: string | null
  rule: string | null
  note: string | null
  times: number
  deliveredAt: string | null
}

export interface OneUpload {
  upload: UploadDetails
  timeline: TimelineEntry[]
}

export interface Summary {
  open: { state: 'receiving' | 'finishing'; role: string; count: number; live: number }[]
  finishingOldestSeconds: number | null
  eventsToDeliver: number
  eventsOldestSeconds: number | null
  reservedBytes: number
  storedBytes: number
  storedFiles: number
  users: number
}

/** What all servers together did in `stepSeconds` from `at` on. */
export interface Point {
  at: string
  receivedBytes: number
  storedBytes: number
  requests: number
  clientErrors: number
  serverErrors: number
  storeErrors: number
  created: number
  completed: number
  cancelled: number
  expired: number
  failed: number
}

export interface Activity {
  stepSeconds: number
  points: Point[]
}

/** Policies as people write them. */
export type PolicyJson = Record<string, unknown>

export interface PolicyVersion {
  version: number
  author: string
  note: string | null
  createdAt: string
  policies: PolicyJson
}

/** Where a change of the policies says something else. Absent: nothing was, or is, said there. */
export interface Difference {
  path: string[]
  before?: unknown
  after?: unknown
}

export interface CheckedPolicies {
  /** `null` when something is wrong with them. */
  policies: PolicyJson | null
  problems: string[]
  /** The version that holds now, which the differences are from. */
  version: number
  differences: Difference[]
  /** The roles that would be removed: their users could no longer upload. */
  removedRoles: string[]
}

export interface PolicyChange {
  note: string | null
  applyToActive: boolean
}

export interface Limits {
  totalBytes: number | null
  totalFiles: number | null
  uploadsAtOnce: number | null
  bytesPerDay: number | null
  filesPerDay: number | null
  creationsPerMinute: number | null
}

export interface UserUsage {
  user: string
  tenant: string | null
  role: string | null
  reservedBytes: number
  storedBytes: number
  storedFiles: number
  openUploads: number
  dayBytes: number
  dayFiles: number
  limits: Limits | null
}

export const scopes = ['upload', 'read', 'cancel', 'admin'] as const
export type Scope = (typeof scopes)[number]

export interface CreateKey {
  name: string
  role: string
  user: string | null
  tenant: string | null
  scopes: Scope[]
  expiresAt: string | null
}

export interface ApiKey extends CreateKey {
  id: string
  prefix: string
  createdAt: string
  createdBy: string
  /** The id of the key with which it was made, and with which it ends. */
  createdByKey: string | null
  revokedAt: string | null
  revokedBy: string | null
  lastUsedAt: string | null
}

export interface AuditEntry {
  id: number
  at: string
  action: string
  allowed: boolean
  actor: string | null
  role: string | null
  tenant: string | null
  key: string | null
  upload: string | null
  target: string | null
  code: string | null
  rule: string | null
  address: string | null
  agent: string | null
  times: number
  note: string | null
}

/** A file that somebody would like to send. */
export interface ExplainQuery {
  user: string
  role: string
  tenant: string | null
  filename: string
  contentType: string
  size: number | null
}

export interface Explanation {
  allowed: boolean
  decidedBy: string | null
  why: string
  reasons: { rule: string; code: string; why: string; from: string | null }[]
  limits: Record<string, { value: unknown; from: string }> | null
}
