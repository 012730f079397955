import { bigint, integer, pgTable, text } from 'drizzle-orm/pg-core'

/** One row for every sealed entry of the audit log: its place in the chain, and the hash of the chain up to it. */
export const auditSeals = pgTable('audit_seals', {
  seq: bigint('seq', { mode: 'number' }).primaryKey(),
  auditId: bigint('audit_id', { mode: 'number' }).notNull().unique(),
  hash: text('hash').notNull(),
  /** At the end of a batch: that a server with the secret wrote the chain up to here. */
  mac: text('mac'),
})

/** Where the chain begins when retention has removed its older part; one row at most. */
export const auditCheckpoint = pgTable('audit_checkpoint', {
  only: integer('only').primaryKey(),
  seq: bigint('seq', { mode: 'number' }).notNull(),
  hash: text('hash').notNull(),
  mac: text('mac').notNull(),
})
