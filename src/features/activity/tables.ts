import { bigint, integer, pgTable, timestamp } from 'drizzle-orm/pg-core'

const bytes = (name: string) => bigint(name, { mode: 'number' }).notNull()

/** What all servers together did in each ten seconds; none where nothing happened. */
export const activity = pgTable('activity', {
  at: timestamp('at', { withTimezone: true, mode: 'date' }).primaryKey(),
  receivedBytes: bytes('received_bytes'),
  storedBytes: bytes('stored_bytes'),
  requests: integer('requests').notNull(),
  refusals: integer('refusals').notNull(),
  failures: integer('failures').notNull(),
  storeErrors: integer('store_errors').notNull(),
  begun: integer('begun').notNull(),
  completed: integer('completed').notNull(),
  cancelled: integer('cancelled').notNull(),
  expired: integer('expired').notNull(),
  failed: integer('failed').notNull(),
})
