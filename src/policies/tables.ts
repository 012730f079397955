import { integer, json, pgTable, text, timestamp } from 'drizzle-orm/pg-core'

/** Every version of the policies; the highest one is active. Rows are never changed or removed. */
export const policyVersions = pgTable('policy_versions', {
  version: integer('version').primaryKey(),
  /** As `writePolicyDocument` writes it; `json` keeps the order. */
  document: json('document').notNull(),
  author: text('author').notNull(),
  note: text('note'),
  createdAt: timestamp('created_at', { withTimezone: true, mode: 'date' }).notNull().defaultNow(),
})
