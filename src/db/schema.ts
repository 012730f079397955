import { sql } from 'drizzle-orm'
import {
  bigint,
  boolean,
  check,
  customType,
  date,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  text,
  timestamp,
  uniqueIndex,
  uuid,
} from 'drizzle-orm/pg-core'
import type { ContentState, StepOutcome, StepState } from '../core/content.ts'
import type { EventType } from '../core/events.ts'
import type { FileDigests, TailObject, UploadKind, UploadState } from '../core/upload.ts'

const bytes = (name: string) => bigint(name, { mode: 'number' })
const blob = customType<{ data: Buffer }>({ dataType: () => 'bytea' })
const moment = (name: string) => timestamp(name, { withTimezone: true, mode: 'date' })

/** One row an upload: its owner, its bytes, its state and its lease. */
export const uploadSessions = pgTable(
  'upload_sessions',
  {
    id: uuid('id').primaryKey(),
    ownerId: text('owner_id').notNull(),
    /** Empty: none. Not null, so that it can be compared and be part of a primary key. */
    tenant: text('tenant').notNull().default(''),
    role: text('role').notNull(),
    /** The user who created it for its owner, as of `ownerKey`; null: the owner. */
    agent: text('agent'),
    key: text('key').notNull().unique(),
    filename: text('filename').notNull(),
    contentType: text('content_type').notNull(),
    category: text('category').notNull(),
    metadata: text('metadata'),
    fingerprint: text('fingerprint'),
    size: bytes('size'),
    offset: bytes('offset').notNull(),
    partSize: bytes('part_size').notNull(),
    state: text('state').$type<UploadState>().notNull(),
    failure: text('failure'),
    kind: text('kind').$type<UploadKind>().notNull(),
    isPartial: boolean('is_partial').notNull(),
    /** Of a final upload: the ids that it is made of, and the header that named them. */
    partials: jsonb('partials').$type<string[]>(),
    uploadConcat: text('upload_concat'),
    digests: jsonb('digests').$type<FileDigests>(),
    /** The limit that the client was given at creation. */
    maxSize: bytes('max_size').notNull(),
    timeToLiveMs: bytes('time_to_live_ms'),
    /** Bytes of the owner's quota that it reserves; null once a final upload has taken the reservation over. */
    reserved: bytes('reserved'),
    multipartId: text('multipart_id'),
    prefix: blob('prefix'),
    tail: jsonb('tail').$type<TailObject[]>().notNull(),
    etag: text('etag'),
    /** Unsigned, of the whole file; null until it is known. */
    crc32: bigint('crc32', { mode: 'number' }),
    needsCleanup: boolean('needs_cleanup').notNull(),
    /** The answer to the creation may have been lost, and no later request has written to the upload. */
    isAnswerLost: boolean('is_answer_lost').notNull().default(false),
    createdAt: moment('created_at').notNull(),
    updatedAt: moment('updated_at').notNull(),
    completedAt: moment('completed_at'),
    expiresAt: moment('expires_at'),
    /** When the store first reported bytes of it missing; null once they were found again. */
    lossSeenAt: moment('loss_seen_at'),
    /** When the object is to be deleted; null once it is, or when no deletion was requested. */
    deleteDueAt: moment('delete_due_at'),
    /** The lease: every save must show its token. See locks/locker.ts. */
    leaseToken: uuid('lease_token'),
    leaseUntil: moment('lease_until'),
    leaseHolder: text('lease_holder'),
    /** Counts the saves of lease holders, so that a save whose answer was lost can be recognized. */
    revision: integer('revision').notNull().default(0),
    /** The number of the last event. */
    eventSeq: integer('event_seq').notNull().default(0),
  },
  (table) => [
    // No index contains a column that every save changes (offset, tail, lease, updated_at), so Postgres can use HOT updates, which
    // leave the indexes alone.
    index('upload_sessions_owner').on(
      table.tenant,
      table.ownerId,
      table.createdAt.desc().nullsFirst(),
      table.id.desc().nullsFirst(),
    ),
    // For lists over all users.
    index('upload_sessions_newest').on(table.createdAt.desc().nullsFirst(), table.id.desc().nullsFirst()),
    index('upload_sessions_newest_others')
      .on(table.createdAt.desc().nullsFirst(), table.id.desc().nullsFirst())
      .where(sql`state <> 'completed'`),
    // Nearly all uploads end up completed; lists of the others must not read through those.
    index('upload_sessions_owner_others')
      .on(table.tenant, table.ownerId, table.createdAt.desc().nullsFirst(), table.id.desc().nullsFirst())
      .where(sql`state <> 'completed'`),
    // At most one file is made of the same partial uploads, however many requests run concurrently.
    uniqueIndex('upload_sessions_final')
      .on(table.tenant, table.ownerId, sql`md5(partials::text)`)
      .where(sql`kind = 'final' and state in ('receiving', 'finishing', 'completed')`),
    index('upload_sessions_file')
      .on(
        table.tenant,
        table.ownerId,
        table.fingerprint,
        table.createdAt.desc().nullsFirst(),
        table.id.desc().nullsFirst(),
      )
      .where(sql`fingerprint is not null`),
    index('upload_sessions_expiring')
      .on(table.expiresAt)
      .where(sql`state in ('receiving', 'completed') and expires_at is not null`),
    index('upload_sessions_open').on(table.state, table.role).where(sql`state in ('receiving', 'finishing')`),
    index('upload_sessions_answer_lost').on(table.tenant, table.ownerId).where(sql`is_answer_lost`),
    index('upload_sessions_deletions').on(table.deleteDueAt).where(sql`delete_due_at is not null`),
    index('upload_sessions_cleanup').on(table.id).where(sql`needs_cleanup and state not in ('receiving', 'finishing')`),
    check(
      'upload_sessions_state',
      sql`state in ('receiving', 'finishing', 'completed', 'cancelled', 'expired', 'failed')`,
    ),
    check(
      'upload_sessions_kind',
      sql`(kind in ('sequential', 'parted') and partials is null and upload_concat is null)
        or (kind = 'final' and not is_partial and partials is not null and upload_concat is not null)`,
    ),
    check('upload_sessions_offset', sql`"offset" >= 0 and (size is null or "offset" <= size)`),
  ],
)

/** The bytes of a completed file, one row an object; see core/content.ts. The id is that of the upload that brought the bytes. */
export const contents = pgTable(
  'contents',
  {
    id: uuid('id').primaryKey(),
    tenant: text('tenant').notNull(),
    key: text('key').notNull().unique(),
    size: bytes('size').notNull(),
    /** As the store reports it. */
    etag: text('etag').notNull(),
    /** Null: not known. */
    sha256: blob('sha256'),
    /** Unsigned; null: not known. */
    crc32: bigint('crc32', { mode: 'number' }),
    contentType: text('content_type').notNull(),
    state: text('state').$type<ContentState>().notNull(),
    createdAt: moment('created_at').notNull(),
  },
  (table) => [
    index('contents_held').on(table.id).where(sql`state in ('held', 'quarantined')`),
    check('contents_state', sql`state in ('held', 'live', 'quarantined', 'gone')`),
  ],
)

/** Work that follows an upload, one row a step of a content; see features/steps. */
export const steps = pgTable(
  'steps',
  {
    id: bigint('id', { mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
    contentId: uuid('content_id')
      .notNull()
      .references(() => contents.id),
    name: text('name').notNull(),
    version: integer('version').notNull(),
    /** The content is held until it has passed. */
    isBlocking: boolean('is_blocking').notNull(),
    state: text('state').$type<StepState>().notNull(),
    /** The highest is taken first: 100 of a fresh upload, 80 of a retry, 0 of older files. */
    priority: integer('priority').notNull(),
    attempts: integer('attempts').notNull().default(0),
    /** How often a worker ended while it ran. */
    crashes: integer('crashes').notNull().default(0),
    nextAt: moment('next_at').notNull(),
    leaseToken: uuid('lease_token'),
    leaseUntil: moment('lease_until'),
    outcome: text('outcome').$type<StepOutcome>(),
    result: jsonb('result').$type<Record<string, unknown>>(),
    /** Why it holds or refuses the content, or why the last attempt failed. */
    reason: text('reason'),
    createdAt: moment('created_at').notNull(),
    endedAt: moment('ended_at'),
  },
  (table) => [
    uniqueIndex('steps_content').on(table.contentId, table.name, table.version),
    index('steps_waiting').on(table.priority.desc().nullsFirst(), table.nextAt, table.id).where(sql`state = 'waiting'`),
    index('steps_oldest').on(table.id).where(sql`state = 'waiting'`),
    index('steps_running').on(table.leaseUntil).where(sql`state = 'running'`),
    index('steps_stopped').on(table.id).where(sql`state in ('failed', 'dead') or outcome in ('hold', 'reject')`),
    check('steps_state', sql`state in ('waiting', 'running', 'done', 'skipped', 'failed', 'dead')`),
    check('steps_outcome', sql`outcome in ('pass', 'hold', 'reject')`),
    check('steps_lease', sql`(state = 'running') = (lease_token is not null and lease_until is not null)`),
  ],
)

/** The files of users: a name for a content, in the space of its owner. The id is that of the upload, so its client knows the file by it. */
export const nodes = pgTable('nodes', {
  id: uuid('id').primaryKey(),
  tenant: text('tenant').notNull(),
  ownerId: text('owner_id').notNull(),
  name: text('name').notNull(),
  contentId: uuid('content_id')
    .notNull()
    .references(() => contents.id),
  createdAt: moment('created_at').notNull(),
  /** Grows when the links to the file are revoked. */
  linkEpoch: integer('link_epoch').notNull().default(0),
  /** When it was deleted, or its object was found missing; null: it is there. */
  trashedAt: moment('trashed_at'),
})

/** The one row that pairs this database with its store; see core/pairing. */
export const storePairing = pgTable(
  'store_pairing',
  {
    id: integer('id').primaryKey(),
    storeId: uuid('store_id').notNull(),
    databaseId: uuid('database_id').notNull(),
    /** Grows with every restore that an operator accepted. */
    epoch: integer('epoch').notNull(),
    /** Grows while uploads are created or end, here first and then in the marker: a database behind the marker is older than the store. */
    counter: bigint('counter', { mode: 'number' }).notNull(),
    /** The highest counter known to be in the marker: a marker with a lower one is that of an older copy of the store. */
    markedCounter: bigint('marked_counter', { mode: 'number' }).notNull().default(0),
    advancedAt: moment('advanced_at').notNull().defaultNow(),
    /** Whether the marker is known to be in the store. */
    isMarked: boolean('is_marked').notNull(),
  },
  () => [check('store_pairing_one', sql`id = 1`)],
)

/** The usage of each user; see usage.ts. */
export const uploadUsage = pgTable(
  'upload_usage',
  {
    tenant: text('tenant').notNull(),
    ownerId: text('owner_id').notNull(),
    reservedBytes: bytes('reserved_bytes').notNull(),
    storedBytes: bytes('stored_bytes').notNull(),
    storedFiles: integer('stored_files').notNull(),
    openUploads: integer('open_uploads').notNull(),
    openFiles: integer('open_files').notNull(),
    /** The day (UTC) of the next two counters. */
    day: date('day').notNull(),
    dayBytes: bytes('day_bytes').notNull(),
    dayFiles: integer('day_files').notNull(),
    creationsUntil: moment('creations_until'),
    /** The reservation of the last creation, which the same statement reads back. */
    granted: bytes('granted').notNull(),
  },
  (table) => [primaryKey({ columns: [table.tenant, table.ownerId] })],
)

/**
 * The receipts of parts, until the multipart upload is completed. A row with a lock token is no receipt: a request is writing that
 * part, or died while writing it, and the state of the part in the store is unknown.
 */
export const uploadParts = pgTable(
  'upload_parts',
  {
    uploadId: uuid('upload_id')
      .notNull()
      .references(() => uploadSessions.id, { onDelete: 'cascade' }),
    number: integer('number').notNull(),
    size: bytes('size').notNull(),
    etag: text('etag').notNull(),
    crc32: bigint('crc32', { mode: 'number' }),
    lockToken: uuid('lock_token'),
    lockedUntil: moment('locked_until'),
  },
  (table) => [primaryKey({ columns: [table.uploadId, table.number] })],
)

/** Actions and refused requests with their actors. Rows are never changed: see append-only.ts. */
export const auditLog = pgTable(
  'audit_log',
  {
    id: bigint('id', { mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
    at: moment('at').notNull().defaultNow(),
    action: text('action').notNull(),
    isAllowed: boolean('is_allowed').notNull(),
    /** Null: the server itself, or an unknown actor. */
    actor: text('actor'),
    role: text('role'),
    tenant: text('tenant').notNull().default(''),
    /** The API key of the request or, for a resume token, the key that created its upload. */
    keyId: text('key_id'),
    uploadId: uuid('upload_id'),
    /** The other object of the action: a policy version, a key. */
    target: text('target'),
    code: text('code'),
    rule: text('rule'),
    address: text('address'),
    agent: text('agent'),
    /** How often the same request was refused within a few seconds. */
    times: integer('times').notNull().default(1),
    note: text('note'),
  },
  (table) => [
    index('audit_log_upload').on(table.uploadId).where(sql`upload_id is not null`),
    index('audit_log_newest').on(table.at.desc().nullsFirst(), table.id.desc().nullsFirst()),
    index('audit_log_actor')
      .on(table.actor, table.at.desc().nullsFirst(), table.id.desc().nullsFirst())
      .where(sql`actor is not null`),
  ],
)

/** The outbox: events, written in the transaction of the change they report. */
export const uploadEvents = pgTable(
  'upload_events',
  {
    id: bigint('id', { mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
    uploadId: uuid('upload_id').notNull(),
    seq: integer('seq').notNull(),
    type: text('type').$type<EventType>().notNull(),
    data: jsonb('data').$type<Record<string, string | number | boolean | null>>().notNull(),
    createdAt: moment('created_at').notNull().defaultNow(),
    deliveredAt: moment('delivered_at'),
    attempts: integer('attempts').notNull().default(0),
    nextAttemptAt: moment('next_attempt_at').notNull().defaultNow(),
  },
  (table) => [
    index('upload_events_upload').on(table.uploadId, table.seq),
    index('upload_events_owner').on(sql`(data->>'ownerId')`, table.id),
    index('upload_events_pending').on(table.id).where(sql`delivered_at is null`),
    // Events are appended in the order of time, so a range of it is a range of pages.
    index('upload_events_time').using('brin', table.createdAt),
  ],
)
