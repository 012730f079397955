import type { Event } from '../core/events.ts'
import type { Sessions } from '../core/ports.ts'
import type { PartReceipt, Session } from '../core/upload.ts'
import type { Database } from './open.ts'
import { type SessionRow, toSession } from './session-row.ts'

const insertSession = {
  name: 'session-insert',
  // A second run after a lost answer inserts nothing, the event included.
  text: `with inserted as (
      insert into upload_sessions (id, owner_id, role, key, filename, content_type, category, metadata, size, "offset", part_size, state,
        concat, digests, tail, is_scattered, is_dirty, created_at, updated_at, expires_at, event_seq)
      values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, $10, 'receiving', $11::jsonb, $17::jsonb, '[]', $16, false, $12, $12, $13, case when $14::text is null then 0 else 1 end)
      on conflict (id) do nothing
      returning id)
    insert into upload_events (upload_id, seq, type, data) select id, 1, $14, $15::jsonb from inserted where $14::text is not null`,
}
const findSession = { name: 'session-find', text: `select * from upload_sessions where id = $1` }
const listSessions = {
  name: 'session-list',
  text: `select s.* from upload_sessions s
    where s.owner_id = $1 and s.concat->>'kind' is distinct from 'partial'
      and ($2::uuid is null or (s.created_at, s.id) < (select b.created_at, b.id from upload_sessions b where b.id = $2 and b.owner_id = $1))
    order by s.created_at desc, s.id desc limit $3`,
}
const findFinal = {
  name: 'session-final',
  text: `select id from upload_sessions
    where owner_id = $1 and concat->>'header' = $2 and state in ('receiving', 'finishing', 'completed')
    order by created_at desc limit 1`,
}
const findParts = {
  name: 'parts-find',
  text: `select number, size, etag from upload_parts where upload_id = $1 order by number`,
}
const addScatteredPart = {
  name: 'part-scattered',
  // The row is locked by the update: a lease cannot be taken between the question and the answer.
  text: `with open as (
      update upload_sessions set updated_at = now()
      where id = $1 and state = 'receiving' and (lease_until is null or lease_until < now())
      returning id)
    insert into upload_parts (upload_id, number, size, etag) select id, $2, $3, $4 from open
    on conflict (upload_id, number) do update set size = excluded.size, etag = excluded.etag
    returning number`,
}
const markClean = {
  name: 'session-clean',
  text: `update upload_sessions set is_dirty = false where id = $1 and state not in ('receiving', 'finishing')`,
}
const findUnfinished = {
  name: 'sessions-unfinished',
  text: `select id from upload_sessions
    where state = 'finishing' and updated_at < now() - $1 * interval '1 millisecond' and (lease_until is null or lease_until < now())
    order by updated_at limit $2`,
}
const findExpired = {
  name: 'sessions-expired',
  text: `select id from upload_sessions where state in ('receiving', 'completed') and expires_at < $1 order by expires_at limit $2`,
}
const findDirty = {
  name: 'sessions-dirty',
  text: `select id from upload_sessions where is_dirty and state not in ('receiving', 'finishing') order by updated_at limit $1`,
}

/** The sessions in `database`. What lease holders write goes through their lease. */
export function sessionsIn(database: Database): Sessions {
  const ids = async (statement: { name: string; text: string }, values: unknown[]) =>
    (await database.query<{ id: string }>(statement, values)).map((row) => row.id)
  return {
    async insert(session: Session, event: Event | undefined) {
      await database.query(insertSession, [
        session.id,
        session.ownerId,
        session.role,
        session.key,
        session.filename,
        session.contentType,
        session.category,
        session.metadata,
        session.size,
        session.partSize,
        session.concat === null ? null : JSON.stringify(session.concat),
        session.createdAt,
        session.expiresAt,
        event?.type ?? null,
        event ? JSON.stringify(event.data) : null,
        session.isScattered,
        session.digests === null ? null : JSON.stringify(session.digests),
      ])
    },
    async find(id) {
      const [row] = await database.query<SessionRow>(findSession, [id])
      return row ? toSession(row) : null
    },
    async list(ownerId, { limit, before }) {
      return (await database.query<SessionRow>(listSessions, [ownerId, before ?? null, limit])).map(toSession)
    },
    async findFinal(ownerId, header) {
      return (await ids(findFinal, [ownerId, header]))[0] ?? null
    },
    parts: (id) => database.query<PartReceipt>(findParts, [id]),
    async addScatteredPart(id, part) {
      return (await database.query(addScatteredPart, [id, part.number, part.size, part.etag])).length > 0
    },
    async markClean(id) {
      await database.query(markClean, [id])
    },
    unfinished: (idleMs, limit) => ids(findUnfinished, [idleMs, limit]),
    expired: (now, limit) => ids(findExpired, [now, limit]),
    dirty: (limit) => ids(findDirty, [limit]),
  }
}
