/*
 * The end of an API key is an HMAC of its beginning, under a secret that the database keeps for all servers that share it. A checksum
 * would do against typing errors; this also costs a client that makes keys up no query: it cannot make one that looks right. The
 * secret outlives JWT_SECRET, which can be changed without ending all keys.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Database } from '../../db/open.ts'

/** Makes keys and tells those apart that were made so. */
export interface KeyTag {
  /** A new key: `lf_` and 43 characters. */
  make(): string
  /** Whether `token` was made by a server of the same database. It may have been revoked since. */
  isOurs(token: string): boolean
}

const randomBytesInKey = 24
const tagBytes = 8
const form = /^lf_([\w-]{32})([\w-]{11})$/

const insertSecret = {
  name: 'key-secret-insert',
  text: `insert into server_secrets (name, value) values ('api-keys', $1) on conflict (name) do nothing`,
}
const findSecret = { name: 'key-secret-find', text: `select value from server_secrets where name = 'api-keys'` }

/** The tag under the secret in `database`, which the first server makes. */
export async function keyTagIn(database: Database): Promise<KeyTag> {
  const known = await find(database)
  if (known === undefined) await database.query(insertSecret, [randomBytes(32).toString('base64url')])
  // Of two servers that begin at once, both use what is there then.
  const secret = Buffer.from(known ?? (await find(database))!, 'base64url')
  const tagOf = (random: string) => createHmac('sha256', secret).update(random).digest().subarray(0, tagBytes)
  return {
    make() {
      const random = randomBytes(randomBytesInKey).toString('base64url')
      return `lf_${random}${tagOf(random).toString('base64url')}`
    },
    isOurs(token) {
      const [, random, tag] = form.exec(token) ?? []
      if (random === undefined || tag === undefined) return false
      const said = Buffer.from(tag, 'base64url')
      return said.length === tagBytes && timingSafeEqual(said, tagOf(random))
    },
  }
}

async function find(database: Database): Promise<string | undefined> {
  const [row] = await database.query<{ value: string }>(findSecret, [])
  return row?.value
}
