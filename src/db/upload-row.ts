import type { FileDigests, TailObject, UploadKind, UploadRecord, UploadSource, UploadState } from '../core/upload.ts'

/** A row of `upload_sessions` as the driver returns it. */
export interface UploadRow {
  id: string
  owner_id: string
  tenant: string
  role: string
  agent: string | null
  key: string
  filename: string
  content_type: string
  category: string
  metadata: string | null
  fingerprint: string | null
  size: number | null
  offset: number
  part_size: number
  state: UploadState
  failure: string | null
  kind: UploadKind
  is_partial: boolean
  partials: string[] | null
  upload_concat: string | null
  digests: FileDigests | null
  max_size: number
  time_to_live_ms: number | null
  multipart_id: string | null
  prefix: Uint8Array | null
  tail: TailObject[]
  etag: string | null
  needs_cleanup: boolean
  created_at: Date
  updated_at: Date
  completed_at: Date | null
  expires_at: Date | null
  loss_seen_at: Date | null
  delete_due_at: Date | null
  revision: number
  /** Only where a statement selects it: whether a request holds the lease. */
  is_held?: boolean
  /** Only where a statement selects it: whether a request writes to the upload, under the lease or a part lock. */
  is_being_written?: boolean
  /** Only from the statement that acquires the lease: whether another holder had let it expire. */
  is_takeover?: boolean
}

/** The upload in a row. */
export function toUploadRecord(row: UploadRow): UploadRecord {
  return {
    ...sourceOf(row),
    id: row.id,
    ownerId: row.owner_id,
    tenant: row.tenant === '' ? null : row.tenant,
    role: row.role,
    agent: row.agent,
    key: row.key,
    filename: row.filename,
    contentType: row.content_type,
    category: row.category,
    metadata: row.metadata,
    fingerprint: row.fingerprint,
    size: row.size,
    offset: row.offset,
    partSize: row.part_size,
    state: row.state,
    failure: row.failure,
    digests: row.digests,
    maxSize: row.max_size,
    timeToLiveMs: row.time_to_live_ms,
    multipartId: row.multipart_id,
    prefix: row.prefix,
    tail: row.tail,
    etag: row.etag,
    needsCleanup: row.needs_cleanup,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    completedAt: row.completed_at,
    expiresAt: row.expires_at,
    lossSeenAt: row.loss_seen_at,
    deleteDueAt: row.delete_due_at,
    ...(row.is_being_written !== undefined && { isBeingWritten: row.is_being_written }),
  }
}

// A check of the table holds what is asserted here.
function sourceOf({ kind, is_partial, partials, upload_concat }: UploadRow): UploadSource {
  if (kind !== 'final') return { kind, isPartial: is_partial }
  return { kind, isPartial: false, partials: partials!, uploadConcat: upload_concat! }
}
