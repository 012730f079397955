/* Compares the store and the database with the model. */
import { createHash } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { isServersOwn, markerKey, probeKey } from '../../../src/core/pairing/marker.ts'
import type { Environment } from './environment.ts'
import type { Model } from './model.ts'

interface Row {
  id: string
  key: string
  filename: string
  state: string
  failure: string | null
  size: number
  needs_cleanup: boolean
  is_leased: boolean
  completions: number
  events: number
  last_seq: number
  undelivered: number
  parts: number
}

/** Adds every violation to `model`. The servers must have stopped, and `settleAll` must have run. */
export async function checkResult(environment: Environment, model: Model): Promise<void> {
  const rows = await readRows(environment)
  const byId = new Map(rows.map((row) => [row.id, row]))
  for (const entry of model.entries) {
    const row = byId.get(entry.id)
    if (!row) model.report(`${entry.id}: is not in the database`)
    else if (entry.end === 'complete' && row.state !== 'completed')
      model.report(`${entry.id}: its client was answered that it is complete, and it is ${row.state}`)
    else if (entry.end === 'cancelled' && row.state !== 'cancelled')
      model.report(`${entry.id}: its client was answered that it is cancelled, and it is ${row.state}`)
    else if (entry.end === 'lost' && row.state !== 'failed')
      model.report(`${entry.id}: its client was answered that it is lost, and it is ${row.state}`)
  }
  for (const row of rows) await checkUpload(environment, model, row)
  await checkStore(environment, model, rows)
  checkLogs(environment, model)
}

async function readRows({ pool }: Environment): Promise<Row[]> {
  const { rows } = await pool.query(`select id, key, filename, state, failure, size::float, needs_cleanup,
      lease_token is not null or lease_until is not null as is_leased,
      (select count(*)::int from upload_events e where e.upload_id = s.id and type = 'upload.completed') as completions,
      (select count(*)::int from upload_events e where e.upload_id = s.id) as events,
      (select max(seq)::int from upload_events e where e.upload_id = s.id) as last_seq,
      (select count(*)::int from upload_events e where e.upload_id = s.id and delivered_at is null) as undelivered,
      (select count(*)::int from upload_parts p where p.upload_id = s.id) as parts
    from upload_sessions s`)
  return rows
}

async function checkUpload(environment: Environment, model: Model, row: Row): Promise<void> {
  const report = (what: string) => model.report(`${row.id} (${row.filename}, ${row.state}): ${what}`)
  model.count(`ended ${row.state}`)
  if (!['completed', 'failed', 'cancelled', 'expired'].includes(row.state)) report('has not ended')
  if (row.is_leased) report('has a lease')
  if (row.needs_cleanup) report('needs cleanup')
  if (row.parts > 0) report(`has ${row.parts} rows in upload_parts`)
  if (row.undelivered > 0) report(`${row.undelivered} events were not delivered`)
  if (row.events !== row.last_seq) report(`has ${row.events} events, the last of them number ${row.last_seq}`)
  if (row.state === 'failed' && !environment.aborted.has(row.key))
    report('failed, although the bucket did not abort it')
  // A completed upload may be cancelled afterwards.
  if (row.state !== 'cancelled' && row.completions !== (row.state === 'completed' ? 1 : 0))
    report(`has ${row.completions} upload.completed events`)
  if (row.completions > 1) report(`has ${row.completions} upload.completed events`)
  if (row.state !== 'completed') return
  const file = model.files.get(row.filename)
  if (!file || row.size !== file.size) return report(`has ${row.size} bytes and not ${file?.size}`)
  const sum = createHash('sha256')
  try {
    for await (const chunk of environment.store.read(row.key)) sum.update(chunk)
  } catch (error) {
    return report(`cannot be read: ${String(error)}`)
  }
  if (sum.digest('hex') !== file.sha256()) report('differs from the file that was sent')
}

/** What a server that is killed while it writes an object of its own leaves in a local store, for a minute. */
const ownTemporaries = [markerKey, probeKey].map(
  (key) => `.landfall/${createHash('sha256').update(key).digest('hex').slice(0, 32)}_put_`,
)

async function checkStore(environment: Environment, model: Model, rows: Row[]): Promise<void> {
  const expected = new Set(rows.filter((row) => row.state === 'completed').map((row) => row.key))
  const uploadOf = (key: string) => {
    const row = rows.find((candidate) => candidate.key === key || key.includes(candidate.id))
    return row ? `${row.id} (${row.filename}, ${row.state})` : 'no upload'
  }
  for await (const key of environment.store.list('')) {
    if (isServersOwn(key) || ownTemporaries.some((prefix) => key.startsWith(prefix))) continue
    if (!expected.delete(key)) model.report(`orphan of ${uploadOf(key)}: the object ${key}`)
  }
  for (const key of expected) model.report(`missing of ${uploadOf(key)}: the object ${key}`)
  for (const key of await environment.openMultiparts())
    model.report(`orphan of ${uploadOf(key)}: a multipart upload of ${key}`)
  if (environment.kind !== 'local') return
  const staging = join(environment.settings.DATA_DIR!, 'files', '.landfall', 'staging')
  for (const name of await readdir(staging)) model.report(`orphan: ${name} in the staging folder`)
}

function checkLogs({ nodes }: Environment, model: Model): void {
  for (const node of nodes) {
    // With the lines that follow, which hold the stack.
    const alarms =
      node.log().match(/^.*(unhandled|uncaught|INTERNAL_ERROR|FATAL|TypeError|ReferenceError).*(\n.*){0,12}/gim) ?? []
    for (const lines of new Set(alarms.map((text) => text.slice(0, 1500)))) model.report(`a log has: ${lines}`)
  }
}
