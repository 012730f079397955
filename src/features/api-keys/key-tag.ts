/*
 * The end of an API key is an HMAC over its beginning, with a secret that the database keeps for all servers that share it. A checksum
 * would detect typing errors only; the HMAC also rejects forged keys without a query. The secret is independent of JWT_SECRET, so
 * changing that one does not invalidate all keys.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Database } from '../../db/open.ts'

/** Makes keys and recognizes them. */
export interface KeyTag {
  /** A new key: `lf_` and 43 characters. */
  make(): string
  /** Whether `token` was made by a server of this database; it may have been revoked since. */
  isAuthentic(token: string): boolean
}

const randomBytesInKey = 24
const tagBytes = 8
const form = /^lf_([\w-]{32})([\w-]{11})$/

const insertSecret = {
  name: 'key-secret-insert',
  text: `insert into server_secrets (name, value) values ('api-keys', $1) on conflict (name) do nothing`,
}
const findSecret = { name: 'key-secret-find', text: `select value from server_secrets where name = 'api-keys'` }

/** The key tag of `database`; the first server creates its secret. */
export async function keyTagIn(database: Database): Promise<KeyTag> {
  const known = await find(database)
  if (known === undefined) await database.query(insertSecret, [randomBytes(32).toString('base64url')])
  // Two servers that start at once both use the secret whose insert succeeded.
  const secret = Buffer.from(known ?? (await find(database))!, 'base64url')
  const tagOf = (random: string) => createHmac('sha256', secret).update(random).digest().subarray(0, tagBytes)
  return {
    make() {
      const random = randomBytes(randomBytesInKey).toString('base64url')
      return `lf_${random}${tagOf(random).toString('base64url')}`
    },
    isAuthentic(token) {
      const [, random, tag] = form.exec(token) ?? []
      if (random === undefined || tag === undefined) return false
      const given = Buffer.from(tag, 'base64url')
      return given.length === tagBytes && timingSafeEqual(given, tagOf(random))
    },
  }
}

async function find(database: Database): Promise<string | undefined> {
  const [row] = await database.query<{ value: string }>(findSecret, [])
  return row?.value
}
