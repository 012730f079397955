/*
 * API keys for services: opaque, `lf_`, 192 random bits and a tag of 64 bits that only a server of this database can make (key-tag.ts):
 * a made-up key is refused without a question to the database. The database keeps a SHA-256 of a key. A slow hash is for passwords,
 * which can be guessed; nobody guesses 192 bits, and a key is looked up with every request.
 *
 * What was looked up is remembered for less than a second, and forgotten by every server at once when one of them revokes a key
 * (NOTIFY). So a key that was revoked is refused within a second also where that message got lost.
 *
 * A key that was made with another key is no better than that one: it ends when its maker expires or is revoked. Revoking marks the whole
 * line of descendants. A key that is being made at that moment is not seen by that statement, so every look-up asks the makers as well.
 */
import { createHash, randomUUID } from 'node:crypto'
import type { AuthorizationRequest } from '../../core/access/access.ts'
import { UploadError } from '../../core/errors/error.ts'
import { type Actor, type Scope, userOf } from '../../core/upload.ts'
import type { Database } from '../../db/open.ts'
import { keyPrefix } from '../../http/identity/claims.ts'
import { keyTagIn } from './key-tag.ts'

/** What a key is for. */
export interface CreateKey {
  name: string
  role: string
  /** Whose uploads it sends and sees; `null`: a user of its own. */
  user: string | null
  tenant: string | null
  scopes: Scope[]
  /** `null`: when it is revoked. */
  expiresAt: Date | null
}

/** A key, without what makes it one. */
export interface ApiKey extends CreateKey {
  id: string
  /** How it begins. */
  prefix: string
  createdAt: Date
  createdBy: string
  /** The id of the key with which it was made; `null`: with a token, or at the command line. */
  createdByKey: string | null
  revokedAt: Date | null
  revokedBy: string | null
  /** To the minute. */
  lastUsedAt: Date | null
}

/** What the record says of who changes keys, beside the name. */
export type KeyActor = Pick<Actor, 'role' | 'tenant' | 'keyId' | 'client'>

export interface Keys {
  /** The token is told here and never again. Made with a key, it expires no later than that one. */
  create(createKey: CreateKey, by: string, asker?: KeyActor): Promise<{ key: ApiKey; token: string }>
  /** Those of `tenant`, or all; the newest first, revoked and expired ones among them; a thousand at most. */
  list(tenant?: string): Promise<ApiKey[]>
  /** Revokes the key and all that were made with it, and with those. The key as it is then; again: no error. `null` when there is none, or none of `tenant` when that is given. */
  revoke(id: string, by: string, asker?: KeyActor, tenant?: string): Promise<ApiKey | null>
  /** Who a key speaks for; `null` for what is no key. @throws UploadError UNAUTHENTICATED for one that was revoked or has expired */
  identify(token: string): Promise<Actor | null>
  /** Refuses who came with a key that is no longer good, also by the resume token of an upload that was begun with it. */
  authorize(demand: AuthorizationRequest): Promise<void>
  close(): Promise<void>
}

export interface KeysOptions {
  database: Database
  now(): Date
  onError(error: unknown): void
}

interface Row {
  id: string
  name: string
  prefix: string
  role: string
  user_id: string | null
  tenant: string
  scopes: Scope[]
  created_at: Date
  created_by: string
  created_by_key: string | null
  expires_at: Date | null
  revoked_at: Date | null
  revoked_by: string | null
  last_used_at: Date | null
}

const lasting =
  'id, name, prefix, role, user_id, tenant, scopes, created_at, created_by, created_by_key, revoked_by, last_used_at'
const columns = `${lasting}, revoked_at, expires_at`
const insertKey = {
  name: 'key-insert',
  // And a line in the audit log. `least` ignores nulls.
  text: `with ends as (
      select least($11::timestamptz, (select maker.expires_at from api_keys maker where maker.id::text = $16)) as at),
    added as (
      insert into api_keys (id, name, prefix, hash, role, user_id, tenant, scopes, created_at, created_by, expires_at, created_by_key)
      select $1, $2, $3, $4, $5, $6, $7, $8::jsonb, $9, $10, ends.at, $16::uuid from ends on conflict (id) do nothing
      returning id, name, created_by),
    audited as (
      insert into audit_log (action, is_allowed, actor, target, address, agent, note, role, tenant, key_id)
      select 'key.create', true, created_by, id::text, $12, $13, name, $14, $15, $16 from added)
    select at as expires_at from ends`,
}
const findKey = { name: 'key-find', text: withMakers('hash = $1') }
const findKeyById = { name: 'key-look', text: withMakers('id = $1') }
const listKeys = {
  name: 'key-list',
  text: `select ${columns} from api_keys where $1::text is null or tenant = $1 order by created_at desc limit 1000`,
}
const revokeKey = {
  name: 'key-revoke',
  // A line in the audit log only for the first who does it, and one for every key that ends with it.
  text: `with recursive line as (
      select id from api_keys where id = $1 and ($9::text is null or tenant = $9)
      union select made.id from api_keys made join line on made.created_by_key = line.id),
    revoked as (
      update api_keys set revoked_by = coalesce(revoked_by, $3), revoked_at = coalesce(revoked_at, $2)
      where id in (select id from line) returning ${columns}),
    audited as (
      insert into audit_log (action, is_allowed, actor, target, address, agent, note, role, tenant, key_id)
      select 'key.revoke', true, $3, id::text, $4, $5, name, $6, $7, $8 from revoked where revoked_at = $2 and revoked_by = $3)
    select ${columns} from revoked where id = $1`,
}
const touchKey = { name: 'key-touch', text: `update api_keys set last_used_at = $2 where id = $1` }
const notify = { name: 'key-notify', text: `select pg_notify($1, '')` }

const channel = 'landfall_keys'
const shownLength = 'lf_'.length + 6
const cacheMs = 800

/** The key, revoked and expired as soon as any of those with which it and its makers were made. */
function withMakers(condition: string): string {
  return `with recursive line as (
      select ${columns}, true as is_asked from api_keys where ${condition}
      union select ${columns.replace(/\w+/g, 'maker.$&')}, false from api_keys maker join line on maker.id = line.created_by_key)
    select ${lasting}, (select min(revoked_at) from line) as revoked_at, (select min(expires_at) from line) as expires_at
    from line where is_asked`
}

// More than anybody has keys; whoever sends made-up ones cannot fill the memory.
const cacheMaxEntries = 5000
const touchEveryMs = 60_000

/** The keys in `database`. */
export async function keysIn({ database, now, onError }: KeysOptions): Promise<Keys> {
  const tag = await keyTagIn(database)
  const remembered = new Map<string, { row: Promise<Row | null>; until: number }>()
  const touched = new Map<string, number>()
  const writing = new Set<Promise<unknown>>()
  await database.listen(channel, () => remembered.clear())

  function findCached(by: 'hash' | 'id', value: string): Promise<Row | null> {
    const known = remembered.get(by + value)
    if (known && performance.now() < known.until) return known.row
    if (remembered.size >= cacheMaxEntries) remembered.clear()
    // Remembered before it is known: a key that is revoked meanwhile is forgotten with the question.
    const row = database.query<Row>(by === 'hash' ? findKey : findKeyById, [value]).then(([found]) => found ?? null)
    remembered.set(by + value, { row, until: performance.now() + cacheMs })
    row.catch(() => remembered.delete(by + value))
    return row
  }

  function touch(id: string): void {
    const at = now()
    if (at.getTime() - (touched.get(id) ?? Number.NEGATIVE_INFINITY) < touchEveryMs) return
    touched.set(id, at.getTime())
    const writes = database
      .query(touchKey, [id, at])
      .catch(onError)
      .finally(() => writing.delete(writes))
    writing.add(writes)
  }

  function assertKeyValid({ revoked_at, expires_at }: Row): void {
    if (revoked_at) throw new UploadError('UNAUTHENTICATED', 'The key was revoked.')
    if (expires_at && expires_at <= now()) throw new UploadError('UNAUTHENTICATED', 'The key has expired.')
  }

  return {
    async create(createKey, by, asker) {
      const id = randomUUID()
      const token = tag.make()
      const { name, role, user, tenant, scopes, expiresAt } = createKey
      const prefix = token.slice(0, shownLength)
      const createdAt = now()
      const [made] = await database.query<Pick<Row, 'expires_at'>>(insertKey, [
        id,
        name,
        prefix,
        hashOf(token),
        role,
        user,
        tenant ?? '',
        JSON.stringify(scopes),
        createdAt,
        by,
        expiresAt,
        ...auditActorOf(asker),
      ])
      const maker = { createdBy: by, createdByKey: asker?.keyId ?? null }
      const unused = { revokedAt: null, revokedBy: null, lastUsedAt: null }
      return { key: { ...createKey, id, prefix, createdAt, ...maker, expiresAt: made!.expires_at, ...unused }, token }
    },
    async list(tenant) {
      return (await database.query<Row>(listKeys, [tenant ?? null])).map(toKey)
    },
    async revoke(id, by, asker, tenant) {
      const [row] = await database.query<Row>(revokeKey, [id, now(), by, ...auditActorOf(asker), tenant ?? null])
      remembered.clear()
      await database.query(notify, [channel])
      return row ? toKey(row) : null
    },
    async identify(token) {
      if (!tag.isOurs(token)) return null
      const row = await findCached('hash', hashOf(token))
      if (!row) return null
      assertKeyValid(row)
      touch(row.id)
      const { id, role, scopes, user_id, tenant } = row
      return userOf(user_id ?? keyPrefix + id, role, {
        tenant: tenant === '' ? null : tenant,
        isAdmin: scopes.includes('admin'),
        scopes,
        keyId: id,
        isService: user_id === null,
      })
    },
    async authorize({ actor }) {
      if (actor.keyId === undefined) return
      const row = await findCached('id', actor.keyId)
      if (!row) throw new UploadError('UNAUTHENTICATED', 'The key was revoked.')
      assertKeyValid(row)
    },
    async close() {
      await Promise.all(writing)
    },
  }
}

function auditActorOf(asker: KeyActor | undefined): (string | null)[] {
  const { client, role, tenant, keyId } = asker ?? {}
  return [client?.address ?? null, client?.agent ?? null, role ?? null, tenant ?? '', keyId ?? null]
}

function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('hex')
}

function toKey(row: Row): ApiKey {
  return {
    id: row.id,
    name: row.name,
    prefix: row.prefix,
    role: row.role,
    user: row.user_id,
    tenant: row.tenant === '' ? null : row.tenant,
    scopes: row.scopes,
    createdAt: row.created_at,
    createdBy: row.created_by,
    createdByKey: row.created_by_key,
    expiresAt: row.expires_at,
    revokedAt: row.revoked_at,
    revokedBy: row.revoked_by,
    lastUsedAt: row.last_used_at,
  }
}
