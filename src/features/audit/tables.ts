import { bigint, integer, pgTable, text } from 'drizzle-orm/pg-core'

/** One row for each sealed entry of the audit log: its position in the chain and the hash up to it. */
export const auditSeals = pgTable('audit_seals', {
  seq: bigint('seq', { mode: 'number' }).primaryKey(),
  auditId: bigint('audit_id', { mode: 'number' }).notNull().unique(),
  hash: text('hash').notNull(),
  /** Only at the end of a batch: the signature of the chain up to here. */
  mac: text('mac'),
})

/** Where the chain starts after retention removed its older part; at most one row. */
export const auditCheckpoint = pgTable('audit_checkpoint', {
  only: integer('only').primaryKey(),
  seq: bigint('seq', { mode: 'number' }).notNull(),
  hash: text('hash').notNull(),
  mac: text('mac').notNull(),
})
