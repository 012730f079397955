/* What is really there, held against what was said. */
import { createHash } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { markerKey, probeKey } from '../../../src/core/pairing/marker.ts'
import type { Ground } from './ground.ts'
import type { Ledger } from './ledger.ts'

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

/** Adds to `ledger` every promise that was broken. The servers must have ended, and the aftermath been settled. */
export async function judgeRound(ground: Ground, ledger: Ledger): Promise<void> {
  const rows = await readRows(ground)
  const byId = new Map(rows.map((row) => [row.id, row]))
  for (const entry of ledger.entries) {
    const row = byId.get(entry.id)
    if (!row) ledger.complain(`${entry.id}: is not in the database`)
    else if (entry.end === 'whole' && row.state !== 'completed')
      ledger.complain(`${entry.id}: its client was told that it is whole, and it is ${row.state}`)
    else if (entry.end === 'cancelled' && row.state !== 'cancelled')
      ledger.complain(`${entry.id}: its client was told that it is cancelled, and it is ${row.state}`)
    else if (entry.end === 'lost' && row.state !== 'failed')
      ledger.complain(`${entry.id}: its client was told that it is lost, and it is ${row.state}`)
  }
  for (const row of rows) await judgeUpload(ground, ledger, row)
  await judgeStore(ground, ledger, rows)
  judgeLogs(ground, ledger)
}

async function readRows({ truth }: Ground): Promise<Row[]> {
  const { rows } = await truth.query(`select id, key, filename, state, failure, size::float, needs_cleanup,
      lease_token is not null or lease_until is not null as is_leased,
      (select count(*)::int from upload_events e where e.upload_id = s.id and type = 'upload.completed') as completions,
      (select count(*)::int from upload_events e where e.upload_id = s.id) as events,
      (select max(seq)::int from upload_events e where e.upload_id = s.id) as last_seq,
      (select count(*)::int from upload_events e where e.upload_id = s.id and delivered_at is null) as undelivered,
      (select count(*)::int from upload_parts p where p.upload_id = s.id) as parts
    from upload_sessions s`)
  return rows
}

async function judgeUpload(ground: Ground, ledger: Ledger, row: Row): Promise<void> {
  const complain = (what: string) => ledger.complain(`${row.id} (${row.filename}, ${row.state}): ${what}`)
  ledger.count(`ended ${row.state}`)
  if (!['completed', 'failed', 'cancelled', 'expired'].includes(row.state)) complain('has not ended')
  if (row.is_leased) complain('a lease is left')
  if (row.needs_cleanup) complain('was not cleaned')
  if (row.parts > 0) complain(`${row.parts} receipts are left`)
  if (row.undelivered > 0) complain(`${row.undelivered} events were not delivered`)
  if (row.events !== row.last_seq) complain(`${row.events} events, the last of which is number ${row.last_seq}`)
  if (row.state === 'failed' && !ground.aborted.has(row.key)) complain('failed, though the bucket aborted nothing')
  // A file that was complete may be cancelled after that.
  if (row.state !== 'cancelled' && row.completions !== (row.state === 'completed' ? 1 : 0))
    complain(`${row.completions} events say that it is complete`)
  if (row.completions > 1) complain(`${row.completions} events say that it is complete`)
  if (row.state !== 'completed') return
  const file = ledger.files.get(row.filename)
  if (!file || row.size !== file.size) return complain(`has ${row.size} bytes and not ${file?.size}`)
  const sum = createHash('sha256')
  try {
    for await (const chunk of ground.store.read(row.key)) sum.update(chunk)
  } catch (error) {
    return complain(`cannot be read: ${String(error)}`)
  }
  if (sum.digest('hex') !== file.sha256()) complain('has other bytes than were sent')
}

async function judgeStore(ground: Ground, ledger: Ledger, rows: Row[]): Promise<void> {
  const expected = new Set(rows.filter((row) => row.state === 'completed').map((row) => row.key))
  const whose = (key: string) => {
    const row = rows.find((one) => one.key === key || key.includes(one.id))
    return row ? `${row.id} (${row.filename}, ${row.state})` : 'nobody'
  }
  for await (const key of ground.store.list('')) {
    // The store's own, of no upload.
    if (key === markerKey || key === probeKey) continue
    if (!expected.delete(key)) ledger.complain(`left over of ${whose(key)}: the object ${key}`)
  }
  for (const key of expected) ledger.complain(`missing of ${whose(key)}: the object ${key}`)
  for (const key of await ground.openMultiparts())
    ledger.complain(`left over of ${whose(key)}: a multipart upload of ${key}`)
  if (ground.kind !== 'local') return
  const staging = join(ground.environment.DATA_DIR!, 'files', '.landfall', 'staging')
  for (const name of await readdir(staging)) ledger.complain(`left over: ${name} in the staging folder`)
}

function judgeLogs({ nodes }: Ground, ledger: Ledger): void {
  for (const node of nodes) {
    const alarms = node.log().match(/^.*(unhandled|uncaught|INTERNAL_ERROR|FATAL|TypeError|ReferenceError).*$/gim) ?? []
    for (const line of new Set(alarms.map((text) => text.slice(0, 600)))) ledger.complain(`a log says: ${line}`)
  }
}
