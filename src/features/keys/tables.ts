import { sql } from 'drizzle-orm'
import { index, jsonb, pgTable, text, timestamp, uuid } from 'drizzle-orm/pg-core'
import type { Scope } from '../../core/upload.ts'

const moment = (name: string) => timestamp(name, { withTimezone: true, mode: 'date' })

/** One row a key. The key itself is nowhere: who reads the table can recognize keys and use none. */
export const apiKeys = pgTable(
  'api_keys',
  {
    id: uuid('id').primaryKey(),
    name: text('name').notNull(),
    /** How the key begins, for people to recognize it. */
    prefix: text('prefix').notNull(),
    hash: text('hash').notNull().unique(),
    role: text('role').notNull(),
    /** Whose uploads it is about; `null`: its own. */
    userId: text('user_id'),
    /** Empty: none. */
    tenant: text('tenant').notNull(),
    scopes: jsonb('scopes').$type<Scope[]>().notNull(),
    createdAt: moment('created_at').notNull(),
    createdBy: text('created_by').notNull(),
    /** The key with which it was made, and with which it ends; `null`: it was made with a token, or at the command line. */
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

/** What servers that share this database have in common and never give out. */
export const serverSecrets = pgTable('server_secrets', {
  name: text('name').primaryKey(),
  value: text('value').notNull(),
})
