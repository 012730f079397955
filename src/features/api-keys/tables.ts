import { sql } from 'drizzle-orm'
import { index, jsonb, pgTable, text, timestamp, uuid } from 'drizzle-orm/pg-core'
import type { Scope } from '../../core/upload.ts'

const moment = (name: string) => timestamp(name, { withTimezone: true, mode: 'date' })

/** One row per key. The key itself is not stored: a reader of the table can recognize keys but not use them. */
export const apiKeys = pgTable(
  'api_keys',
  {
    id: uuid('id').primaryKey(),
    name: text('name').notNull(),
    /** The first characters of the key, to recognize it. */
    prefix: text('prefix').notNull(),
    hash: text('hash').notNull().unique(),
    role: text('role').notNull(),
    /** The user it acts for; `null`: a user of its own. */
    userId: text('user_id'),
    /** Empty: none. */
    tenant: text('tenant').notNull(),
    scopes: jsonb('scopes').$type<Scope[]>().notNull(),
    createdAt: moment('created_at').notNull(),
    createdBy: text('created_by').notNull(),
    /** The key that created it, with which it ends; `null`: created with a token, or on the command line. */
    createdByKey: uuid('created_by_key'),
    expiresAt: moment('expires_at'),
    revokedAt: moment('revoked_at'),
    revokedBy: text('revoked_by'),
    lastUsedAt: moment('last_used_at'),
  },
  (table) => [
    index('api_keys_newest').on(table.createdAt.desc().nullsFirst()),
    index('api_keys_made_with').on(table.createdByKey).where(sql`created_by_key is not null`),
  ],
)

/** Secrets shared by all servers of this database. */
export const serverSecrets = pgTable('server_secrets', {
  name: text('name').primaryKey(),
  value: text('value').notNull(),
})
