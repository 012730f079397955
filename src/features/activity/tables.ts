import { bigint, integer, pgTable, timestamp } from 'drizzle-orm/pg-core'

const bytes = (name: string) => bigint(name, { mode: 'number' }).notNull()

/** Counts of all servers in each ten seconds; no row where all were idle. */
export const activity = pgTable('activity', {
  at: timestamp('at', { withTimezone: true, mode: 'date' }).primaryKey(),
  receivedBytes: bytes('received_bytes'),
  storedBytes: bytes('stored_bytes'),
  requests: integer('requests').notNull(),
  clientErrors: integer('client_errors').notNull(),
  serverErrors: integer('server_errors').notNull(),
  storeErrors: integer('store_errors').notNull(),
  created: integer('created').notNull(),
  completed: integer('completed').notNull(),
  cancelled: integer('cancelled').notNull(),
  expired: integer('expired').notNull(),
  failed: integer('failed').notNull(),
})
