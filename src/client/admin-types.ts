import type { UploadState } from './api.ts'

// The responses of the admin API. Sizes are bytes, times are ISO 8601, `next` is `null` on the last page.

/** An upload of any user. */
export interface AnyUpload {
  id: string
  user: string
  tenant: string | null
  role: string
  filename: string
  contentType: string
  category: string
  size: number | null
  /** Grows by whole parts while a request body arrives. */
  received: number
  state: UploadState
  failure: string | null
  kind: 'sequential' | 'parted' | 'final'
  partial: boolean
  /** A client is writing to it right now, through any server. */
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

/** Something that happened to an upload: an entry of the audit log, or an event that is delivered to subscribers. */
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

/** Activity of all servers together, in the `stepSeconds` from `at` on. */
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

/** A policy document as JSON. */
export type PolicyJson = Record<string, unknown>

export interface PolicyVersion {
  version: number
  author: string
  note: string | null
  createdAt: string
  policies: PolicyJson
}

/** A field in which two policy documents differ. `before` or `after` is absent when the field is. */
export interface Difference {
  path: string[]
  before?: unknown
  after?: unknown
}

export interface CheckedPolicies {
  /** `null` when the document is invalid. */
  policies: PolicyJson | null
  problems: string[]
  /** The active version, which `differences` compares with. */
  version: number
  differences: Difference[]
  /** Roles that would be removed: their users could no longer upload. */
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
  /** The id of the key that created it; this key becomes invalid together with that one. */
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

/** A file that a user might upload. */
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
