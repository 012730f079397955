import { sql } from 'drizzle-orm'
import { bigint, index, integer, jsonb, pgTable, text, timestamp, uniqueIndex, uuid } from 'drizzle-orm/pg-core'
import { uploadEvents } from '../../db/schema.ts'

const moment = (name: string) => timestamp(name, { withTimezone: true, mode: 'date' })

/** One row an endpoint. Its secrets are stored as they are, because signing needs them. */
export const webhookEndpoints = pgTable(
  'webhook_endpoints',
  {
    id: uuid('id').primaryKey(),
    /** Empty: none. */
    tenant: text('tenant').notNull(),
    ownerId: text('owner_id').notNull(),
    /** Which of the endpoints that its owner may have it is; the unique index keeps their number. */
    slot: integer('slot').notNull(),
    /** `own`: events of its owner's uploads; `all`: of its tenant, or without one of every upload. */
    reach: text('reach').$type<'own' | 'all'>().notNull(),
    url: text('url').notNull(),
    /** Empty: every type. */
    events: jsonb('events').$type<string[]>().notNull(),
    secret: text('secret').notNull(),
    oldSecret: text('old_secret'),
    oldUntil: moment('old_until'),
    state: text('state').$type<'on' | 'failing' | 'paused'>().notNull().default('on'),
    pausedBecause: text('paused_because').$type<'request' | 'gone' | 'failing'>(),
    /** The first failure since its last success. */
    failingSince: moment('failing_since'),
    /** No attempt before this time: it asked for a pause, or it is failing and waits for the next probe. */
    notBefore: moment('not_before'),
    createdAt: moment('created_at').notNull(),
  },
  (table) => [
    uniqueIndex('webhook_endpoints_owner').on(table.tenant, table.ownerId, table.slot),
    index('webhook_endpoints_all').on(table.tenant).where(sql`reach = 'all'`),
  ],
)

/** One row an event and endpoint. An event stays as long as one of its deliveries. */
export const webhookDeliveries = pgTable(
  'webhook_deliveries',
  {
    id: bigint('id', { mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
    endpointId: uuid('endpoint_id')
      .notNull()
      .references(() => webhookEndpoints.id, { onDelete: 'cascade' }),
    eventId: bigint('event_id', { mode: 'number' })
      .notNull()
      .references(() => uploadEvents.id),
    uploadId: uuid('upload_id').notNull(),
    seq: integer('seq').notNull(),
    state: text('state').$type<'waiting' | 'sending' | 'delivered' | 'dead'>().notNull().default('waiting'),
    attempts: integer('attempts').notNull().default(0),
    /** When it is due: for an attempt, or, while it is being sent, for another worker. */
    nextAt: moment('next_at').notNull(),
    /** The worker that sends it. */
    leaseToken: uuid('lease_token'),
    lastStatus: integer('last_status'),
    lastMs: integer('last_ms'),
    lastError: text('last_error'),
    deliveredAt: moment('delivered_at'),
    createdAt: moment('created_at').notNull(),
  },
  (table) => [
    uniqueIndex('webhook_deliveries_event').on(table.endpointId, table.eventId),
    index('webhook_deliveries_due').on(table.endpointId, table.nextAt).where(sql`state in ('waiting', 'sending')`),
    index('webhook_deliveries_sending').on(table.endpointId).where(sql`state = 'sending'`),
    index('webhook_deliveries_upload').on(table.endpointId, table.uploadId, table.seq).where(sql`state <> 'delivered'`),
    index('webhook_deliveries_delivered').on(table.deliveredAt).where(sql`state = 'delivered'`),
    index('webhook_deliveries_of_event').on(table.eventId),
  ],
)
