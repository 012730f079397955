import type pg from 'pg'

/**
 * Multiplies the existing uploads to `count`, as years of use would: nearly all are completed, two in a thousand are open (with fewer,
 * Postgres would rightly read the table of parts with a sequential scan), every user has fifty, and one user has a tenth of all. Each has
 * two events, a step and a delivery of a webhook and, while open, ten parts. The indexes are built afterwards, which is faster.
 */
export async function growTo(client: pg.ClientBase, count: number, log: (text: string) => void): Promise<void> {
  const uploads = await withoutIndexes(client, 'upload_sessions')
  const events = await withoutIndexes(client, 'upload_events')
  const audit = await withoutIndexes(client, 'audit_log')
  log('uploads')
  await client.query(growUploads, [count, Math.max(1, Math.round(count / 50)), openAmong(count)])
  log('files')
  await client.query(growContents)
  await client.query(growNodes)
  log('parts')
  await client.query(growParts)
  log('events')
  await client.query(growEvents)
  log('steps')
  await client.query(growSteps)
  log('webhooks')
  await client.query(growEndpoints)
  await client.query(growDeliveries)
  log('audit log')
  await client.query(growAuditLog)
  log('usage')
  await client.query(growUsage)
  log('indexes')
  for (const definition of [...uploads, ...events, ...audit]) await client.query(definition)
  log('statistics')
  await client.query('vacuum analyze')
}

/** Two uploads of this many are open: of 1,000, or of so many that 600 are open in all. A multiple of ten: one of the two belongs to `crowd`. */
function openAmong(count: number): number {
  return Math.min(1000, Math.max(10, 10 * Math.round(count / 3000)))
}

// Copies the newest real row, so that new columns need no change here.
const growUploads = `
  with pattern as materialized (select s from upload_sessions s where kind <> 'final' and not is_partial order by created_at desc limit 1)
  insert into upload_sessions
  select grown.* from pattern, generate_series(1, $1::int) as n,
    lateral (select gen_random_uuid() as id, case when n % 10 = 1 then 'crowd' else 'user-' || n % $2::int end as owner,
      case when n % $3::int > 1 then 'completed' when n % 10000 = 0 then 'finishing' else 'receiving' end as state) as made,
    lateral jsonb_populate_record(pattern.s, jsonb_build_object(
      'id', made.id, 'owner_id', made.owner, 'key', 'member/' || made.owner || '/2026-01-01/other/' || made.id,
      'state', made.state, 'fingerprint', 'file-' || n % 1000, 'lease_token', null, 'lease_until', null,
      'needs_cleanup', made.state <> 'completed', 'size', 8388608, 'offset', case when made.state = 'receiving' then 0 else 8388608 end, 'event_seq', 2,
      'created_at', now() - n * interval '3 seconds', 'updated_at', now() - n * interval '3 seconds',
      'expires_at', case when made.state = 'completed' then null else now() + n * interval '1 second' end)) as grown`

const growContents = `
  insert into contents (id, tenant, key, size, etag, content_type, state, created_at)
  select id, tenant, key, size, coalesce(etag, md5(key)), content_type, 'live', created_at from upload_sessions
  where (owner_id = 'crowd' or owner_id like 'user-%') and state = 'completed'`

const growNodes = `
  insert into nodes (id, tenant, owner_id, name, content_id, created_at)
  select id, tenant, owner_id, filename, id, created_at from upload_sessions
  where (owner_id = 'crowd' or owner_id like 'user-%') and state = 'completed'`

const growParts = `
  insert into upload_parts (upload_id, number, size, etag)
  select id, number, 8388608, md5(number::text) from upload_sessions, generate_series(1, 10) as number
  where (owner_id = 'crowd' or owner_id like 'user-%') and state in ('receiving', 'finishing')`

const growEvents = `
  insert into upload_events (upload_id, seq, type, data, created_at, delivered_at, next_attempt_at)
  select id, seq, case seq when 1 then 'upload.created' else 'upload.completed' end,
    jsonb_build_object('ownerId', owner_id, 'tenant', null, 'role', role, 'key', key, 'filename', filename, 'size', size),
    created_at, created_at, created_at
  from upload_sessions, generate_series(1, 2) as seq where owner_id = 'crowd' or owner_id like 'user-%'`

const growSteps = `
  insert into steps (content_id, name, version, is_blocking, state, priority, attempts, next_at, outcome, created_at, ended_at)
  select id, 'scan', 1, true, 'done', 100, 1, created_at, 'pass', created_at, created_at from contents order by created_at
  on conflict do nothing`

// Every user with uploads has an endpoint, for the events of completed files.
const growEndpoints = `
  insert into webhook_endpoints (id, tenant, owner_id, slot, reach, url, events, secret, created_at)
  select gen_random_uuid(), tenant, owner_id, 0, 'own', 'https://hooks.example/' || owner_id, '["upload.completed"]', 'whsec_', now()
  from (select distinct tenant, owner_id from upload_sessions where owner_id = 'crowd' or owner_id like 'user-%') as owners
  on conflict do nothing`

const growDeliveries = `
  insert into webhook_deliveries (endpoint_id, event_id, upload_id, seq, state, attempts, next_at, delivered_at, created_at)
  select endpoint.id, event.id, event.upload_id, event.seq, 'delivered', 1, event.created_at, event.created_at, event.created_at
  from upload_events event join webhook_endpoints endpoint on endpoint.owner_id = event.data->>'ownerId'
  where event.type = 'upload.completed' on conflict do nothing`

const growAuditLog = `
  insert into audit_log (at, action, is_allowed, actor, role, upload_id, address, agent)
  select created_at, case seq when 1 then 'upload.create' else 'upload.complete' end, true, owner_id, role, id, '203.0.113.9', 'a browser'
  from upload_sessions, generate_series(1, 2) as seq where owner_id = 'crowd' or owner_id like 'user-%' order by created_at`

const growUsage = `
  insert into upload_usage (tenant, owner_id, reserved_bytes, stored_bytes, stored_files, open_uploads, open_files, day, day_bytes, day_files, granted)
  select tenant, owner_id, 0, sum("offset"), count(*), 0, 0, current_date, 0, 0, 0 from upload_sessions
  where owner_id = 'crowd' or owner_id like 'user-%' group by tenant, owner_id on conflict do nothing`

/** Drops the indexes of a table, except those of constraints, and returns their definitions. */
async function withoutIndexes(client: pg.ClientBase, table: string): Promise<string[]> {
  const { rows } = await client.query<{ name: string; definition: string }>(
    `select indexrelid::regclass::text as name, pg_get_indexdef(indexrelid) as definition
     from pg_index where indrelid = $1::regclass and not exists (select from pg_constraint where conindid = indexrelid)`,
    [table],
  )
  for (const { name } of rows) await client.query(`drop index ${name}`)
  return rows.map(({ definition }) => definition)
}

export interface Size {
  name: string
  rows: number
  bytes: number
  indexBytes: number
}

/** The size of each table on disk, largest first. */
export async function sizesOf(client: pg.ClientBase): Promise<Size[]> {
  const { rows } = await client.query<Record<'name' | 'rows' | 'bytes' | 'index_bytes', string>>(
    `select relname as name, reltuples::bigint as rows, pg_table_size(oid) as bytes, pg_indexes_size(oid) as index_bytes
     from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace order by pg_total_relation_size(oid) desc`,
  )
  return rows.map((row) => ({
    name: row.name,
    rows: Math.max(0, Number(row.rows)),
    bytes: Number(row.bytes),
    indexBytes: Number(row.index_bytes),
  }))
}
