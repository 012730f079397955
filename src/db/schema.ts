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
import type { EventType } from '../core/events.ts'
import type { Concat, FileDigests, TailObject, UploadState } from '../core/upload.ts'

const bytes = (name: string) => bigint(name, { mode: 'number' })
const blob = customType<{ data: Buffer }>({ dataType: () => 'bytea' })
const moment = (name: string) => timestamp(name, { withTimezone: true, mode: 'date' })

/** One row an upload: who owns it, where its bytes are, how far it is, and who may write to it now. */
export const uploadSessions = pgTable(
  'upload_sessions',
  {
    id: uuid('id').primaryKey(),
    ownerId: text('owner_id').notNull(),
    /** Empty: none. Not null, so that it can be compared and counted like any other. */
    tenant: text('tenant').notNull().default(''),
    role: text('role').notNull(),
    /** Who began it for its owner, in the form of `wordFor`; null: the owner. */
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
    concat: jsonb('concat').$type<Concat>(),
    digests: jsonb('digests').$type<FileDigests>(),
    /** What the owner was told when it was created. */
    maxSize: bytes('max_size').notNull(),
    timeToLiveMs: bytes('time_to_live_ms'),
    /** Bytes of the owner's room that it was given; null when a final upload has taken them over. */
    reserved: bytes('reserved'),
    multipartId: text('multipart_id'),
    prefix: blob('prefix'),
    tail: jsonb('tail').$type<TailObject[]>().notNull(),
    etag: text('etag'),
    hasNumberedParts: boolean('has_numbered_parts').notNull(),
    needsCleanup: boolean('needs_cleanup').notNull(),
    /** The answer to its creation may have been lost, and no request but the creation has written to it. */
    isAnswerLost: boolean('is_answer_lost').notNull().default(false),
    createdAt: moment('created_at').notNull(),
    updatedAt: moment('updated_at').notNull(),
    completedAt: moment('completed_at'),
    expiresAt: moment('expires_at'),
    /** When the store first said that something of it is not there; null once it was right again. */
    lossSeenAt: moment('loss_seen_at'),
    /** When the object is to be deleted; null once it was, or when no deletion was asked for. */
    deleteDueAt: moment('delete_due_at'),
    /** Who may write: the token is what every write must show. */
    leaseToken: uuid('lease_token'),
    leaseUntil: moment('lease_until'),
    leaseHolder: text('lease_holder'),
    /** Counts the writes of lease holders, so that a write whose answer was lost is known to have happened. */
    revision: integer('revision').notNull().default(0),
    /** The number of the last event. */
    eventSeq: integer('event_seq').notNull().default(0),
  },
  (table) => [
    // No index knows what changes with every record of an upload that goes on (offset, tail, lease, updated_at): then Postgres writes
    // the new version of the row beside the old one and touches none of them (HOT).
    index('upload_sessions_owner').on(
      table.tenant,
      table.ownerId,
      table.createdAt.desc().nullsFirst(),
      table.id.desc().nullsFirst(),
    ),
    // For those who look at everybody's.
    index('upload_sessions_newest').on(table.createdAt.desc().nullsFirst(), table.id.desc().nullsFirst()),
    index('upload_sessions_newest_others')
      .on(table.createdAt.desc().nullsFirst(), table.id.desc().nullsFirst())
      .where(sql`state <> 'completed'`),
    // Nearly all uploads are completed some day; whoever asks for the others does not read through those.
    index('upload_sessions_owner_others')
      .on(table.tenant, table.ownerId, table.createdAt.desc().nullsFirst(), table.id.desc().nullsFirst())
      .where(sql`state <> 'completed'`),
    // Of the same partial uploads at most one file is made, however many requests ask at once.
    uniqueIndex('upload_sessions_final')
      .on(table.tenant, table.ownerId, sql`md5(concat->>'from')`)
      .where(sql`concat->>'kind' = 'final' and state in ('receiving', 'finishing', 'completed')`),
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
    index('upload_sessions_unheard').on(table.tenant, table.ownerId).where(sql`is_answer_lost`),
    index('upload_sessions_deletions').on(table.deleteDueAt).where(sql`delete_due_at is not null`),
    index('upload_sessions_cleanup').on(table.id).where(sql`needs_cleanup and state not in ('receiving', 'finishing')`),
    check(
      'upload_sessions_state',
      sql`state in ('receiving', 'finishing', 'completed', 'cancelled', 'expired', 'failed')`,
    ),
    check('upload_sessions_offset', sql`"offset" >= 0 and (size is null or "offset" <= size)`),
  ],
)

/** The one row that ties this database to its store; see core/pairing. */
export const storePairing = pgTable(
  'store_pairing',
  {
    id: integer('id').primaryKey(),
    storeId: uuid('store_id').notNull(),
    databaseId: uuid('database_id').notNull(),
    /** Goes up with every restore that an operator accepted. */
    epoch: integer('epoch').notNull(),
    /** Goes up as long as something happens, here first and then in the marker: who is behind the marker is older than the store. */
    counter: bigint('counter', { mode: 'number' }).notNull(),
    /** What the marker is known to have said: a marker that says less is that of an older copy of the store. */
    markedCounter: bigint('marked_counter', { mode: 'number' }).notNull().default(0),
    advancedAt: moment('advanced_at').notNull().defaultNow(),
    /** Whether the marker is known to be in the store. */
    isMarked: boolean('is_marked').notNull(),
  },
  () => [check('store_pairing_one', sql`id = 1`)],
)

/** What each user takes of the server; see usage.ts. */
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
    /** The day (UTC) that the next two are about. */
    day: date('day').notNull(),
    dayBytes: bytes('day_bytes').notNull(),
    dayFiles: integer('day_files').notNull(),
    creationsUntil: moment('creations_until'),
    /** What the last creation was given, for the statement that gave it. */
    granted: bytes('granted').notNull(),
  },
  (table) => [primaryKey({ columns: [table.tenant, table.ownerId] })],
)

/**
 * The receipts of parts, until the object is made of them. A row with a claim is no receipt: somebody is writing that part,
 * or died at it, and what the store has of it is not known.
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
    lockToken: uuid('lock_token'),
    lockedUntil: moment('locked_until'),
  },
  (table) => [primaryKey({ columns: [table.uploadId, table.number] })],
)

/** Who did what, and who was refused. Rows are only ever added: see append-only.ts. */
export const auditLog = pgTable(
  'audit_log',
  {
    id: bigint('id', { mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
    at: moment('at').notNull().defaultNow(),
    action: text('action').notNull(),
    isAllowed: boolean('is_allowed').notNull(),
    /** Null: the server itself, or nobody knows who. */
    actor: text('actor'),
    role: text('role'),
    tenant: text('tenant').notNull().default(''),
    /** The API key they asked with, or with which the upload of their resume token was begun. */
    keyId: text('key_id'),
    uploadId: uuid('upload_id'),
    /** What else it was done to: a version of the policies, a key. */
    target: text('target'),
    code: text('code'),
    rule: text('rule'),
    address: text('address'),
    agent: text('agent'),
    /** How often the same was refused within a few seconds. */
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

/** The outbox: what happened, written in the transaction in which it happened. */
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
  ],
)
