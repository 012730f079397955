/*
 * API keys for services: opaque, `lf_`, 192 random bits and a tag of 64 bits that only a server of this database can make (key-tag.ts),
 * so a forged key is refused without a query. The database keeps a SHA-256 of each key. Slow hashes are for passwords, which can be
 * guessed; 192 random bits cannot, and a key is looked up with every request.
 *
 * Look-ups are cached for less than a second, and every server clears its cache when one of them revokes a key (NOTIFY). A revoked key is
 * therefore refused within a second even where the notification got lost.
 *
 * A key created with another key (its maker) ends when its maker expires or is revoked. Revoking marks all descendants; that statement
 * does not see a key whose creation has not committed yet, so every look-up checks the makers as well.
 */
import { createHash, randomUUID } from 'node:crypto'
import { keyPrefix } from '../../contract/names.ts'
import type { AuthorizationRequest } from '../../core/access/authorization.ts'
import { errors } from '../../core/errors/errors.ts'
import { type Actor, type Scope, userOf } from '../../core/upload.ts'
import type { Database } from '../../db/open.ts'
import { keyTagIn } from './key-tag.ts'

/** The fields of a new key. */
export interface CreateKey {
  name: string
  role: string
  /** The user the key acts for; `null`: a user of its own. */
  user: string | null
  tenant: string | null
  scopes: Scope[]
  /** `null`: valid until revoked. */
  expiresAt: Date | null
}

/** A key without its secret. */
export interface ApiKey extends CreateKey {
  id: string
  /** The first characters of the key. */
  prefix: string
  createdAt: Date
  createdBy: string
  /** The id of its maker; `null`: created with a token, or on the command line. */
  createdByKey: string | null
  revokedAt: Date | null
  revokedBy: string | null
  /** Accurate to a minute. */
  lastUsedAt: Date | null
}

/** What the audit log records about the actor who changes a key, beside the name. */
export type KeyActor = Pick<Actor, 'role' | 'tenant' | 'keyId' | 'client'>

export interface Keys {
  /** Returns the token, which is never shown again. Created with a key, the new one expires no later than its maker. */
  create(createKey: CreateKey, by: string, actor?: KeyActor): Promise<{ key: ApiKey; token: string }>
  /** The keys of `tenant` or of all, newest first, including revoked and expired ones; at most 1,000. */
  list(tenant?: string): Promise<ApiKey[]>
  /**
   * Revokes the key and all its descendants; revoking again is no error. @returns the revoked key; `null` when there is none, or when it
   * is not of `tenant`, if given
   */
  revoke(id: string, by: string, actor?: KeyActor, tenant?: string): Promise<ApiKey | null>
  /** The actor of a key; `null` when `token` is not a key. @throws UploadError UNAUTHENTICATED when it is revoked or expired */
  identify(token: string): Promise<Actor | null>
  /**
   * Checks that the key of the actor is still valid, also when the actor came with the resume token of an upload created with it.
   * @throws UploadError UNAUTHENTICATED
   */
  authorize(request: AuthorizationRequest): Promise<void>
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
  // Adds an audit entry. `least` ignores nulls.
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
  // One audit entry for each key that this statement revoked; none for keys that were revoked before.
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

/** The SQL of a key, revoked or expired as soon as one of its makers, or a maker of those, is. */
function withMakers(condition: string): string {
  return `with recursive line as (
      select ${columns}, true as is_requested from api_keys where ${condition}
      union select ${columns.replace(/\w+/g, 'maker.$&')}, false from api_keys maker join line on maker.id = line.created_by_key)
    select ${lasting}, (select min(revoked_at) from line) as revoked_at, (select min(expires_at) from line) as expires_at
    from line where is_requested`
}

// More keys than an installation has; bounds the memory that a client with many keys can take.
const cacheMaxEntries = 5000
const touchEveryMs = 60_000

/** The keys in `database`. */
export async function keysIn({ database, now, onError }: KeysOptions): Promise<Keys> {
  const tag = await keyTagIn(database)
  const cached = new Map<string, { row: Promise<Row | null>; until: number }>()
  const touched = new Map<string, number>()
  const writing = new Set<Promise<unknown>>()
  await database.listen(channel, () => cached.clear())

  function findCached(by: 'hash' | 'id', value: string): Promise<Row | null> {
    const known = cached.get(by + value)
    if (known && performance.now() < known.until) return known.row
    if (cached.size >= cacheMaxEntries) cached.clear()
    // The promise is cached, not its result: a revocation during the query clears it too.
    const row = database.query<Row>(by === 'hash' ? findKey : findKeyById, [value]).then(([found]) => found ?? null)
    cached.set(by + value, { row, until: performance.now() + cacheMs })
    row.catch(() => cached.delete(by + value))
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
    if (revoked_at) throw errors.keyRevoked()
    if (expires_at && expires_at <= now()) throw errors.keyExpired()
  }

  return {
    async create(createKey, by, actor) {
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
        ...auditActorOf(actor),
      ])
      const maker = { createdBy: by, createdByKey: actor?.keyId ?? null }
      const unused = { revokedAt: null, revokedBy: null, lastUsedAt: null }
      return { key: { ...createKey, id, prefix, createdAt, ...maker, expiresAt: made!.expires_at, ...unused }, token }
    },
    async list(tenant) {
      return (await database.query<Row>(listKeys, [tenant ?? null])).map(toKey)
    },
    async revoke(id, by, actor, tenant) {
      const [row] = await database.query<Row>(revokeKey, [id, now(), by, ...auditActorOf(actor), tenant ?? null])
      cached.clear()
      await database.query(notify, [channel])
      return row ? toKey(row) : null
    },
    async identify(token) {
      if (!tag.isAuthentic(token)) return null
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
      if (!row) throw errors.keyRevoked()
      assertKeyValid(row)
    },
    async close() {
      await Promise.all(writing)
    },
  }
}

function auditActorOf(actor: KeyActor | undefined): (string | null)[] {
  const { client, role, tenant, keyId } = actor ?? {}
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
