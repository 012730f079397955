import { markerKey } from '../../src/core/pairing/marker.ts'
import { tailPrefixOf } from '../../src/core/tail-keys.ts'
import { type UploadRecord, userOf } from '../../src/core/upload.ts'
import { recordColumns, toUploadRecord, type UploadRow } from '../../src/db/uploads/row.ts'
import { sweep } from '../../src/jobs/sweep.ts'
import type { Environment } from './environment.ts'

const alive = {
  name: 'fuzz-alive',
  text: `select ${recordColumns} from upload_sessions s where state in ('receiving', 'finishing', 'completed') order by created_at desc`,
}
const needsCleanup = {
  name: 'fuzz-needs-cleanup',
  text: `select ${recordColumns} from upload_sessions s where needs_cleanup and state not in ('receiving', 'finishing')`,
}
const ends = {
  name: 'fuzz-ended',
  text: `select 'uploads ' || state || case when completed_at is null then '' else ', had completed' end as ended, count(*)::int as uploads
    from upload_sessions group by ended`,
}
const held = {
  name: 'fuzz-held',
  text: `select (select count(*) from upload_sessions where lease_until > now())::int as leases,
    (select count(*) from upload_parts where locked_until > now())::int as part_locks`,
}
const leftParts = {
  name: 'fuzz-left-parts',
  text: `select count(*)::int as parts from upload_parts p join upload_sessions s on s.id = p.upload_id
    where s.state not in ('receiving', 'finishing')`,
}

/** Checks, between requests, for open connections, held leases and part locks, and orphaned objects. Returns the violations. */
export async function checkState(environment: Environment): Promise<string[]> {
  const problems: string[] = []
  const settled = await until(async () => (await environment.connections()) === 0)
  if (!settled) problems.push(`${await environment.connections()} connections stay open`)
  // The HTTP pool of the valid clients must notice that its connections are closed.
  await new Promise((resolve) => setTimeout(resolve, 100))
  await environment.engine.drained()
  const isFree = await until(async () => {
    const [row] = await environment.database.query<{ leases: number; part_locks: number }>(held, [])
    return row!.leases === 0 && row!.part_locks === 0
  })
  if (!isFree)
    problems.push(`leases or part locks are held: ${JSON.stringify(await environment.database.query(held, []))}`)

  const uploads = await openUploads(environment)
  for (const upload of uploads) {
    const problem = await problemOf(upload, environment)
    if (problem) problems.push(`upload ${upload.id}, ${upload.state}: ${problem}`)
  }
  // The sweeper removes what ended uploads have left in the store, if their rows say that they need cleanup.
  const withOrphans = (await environment.database.query<UploadRow>(needsCleanup, [])).map(toUploadRecord)
  const owned = new Set([...uploads.filter(({ state }) => state !== 'receiving'), ...withOrphans].map(({ key }) => key))
  const folders = [...uploads, ...withOrphans].map(({ id }) => tailPrefixOf(id))
  for (const key of await keysIn(environment))
    if (!owned.has(key) && !folders.some((folder) => key.startsWith(folder)))
      problems.push(`${key} belongs to no upload`)
  return problems
}

/** Cancels every upload but the newest `keep` completed ones, and sweeps. Returns what is left and should not be. */
export async function cancelAll(environment: Environment, keep: number): Promise<string[]> {
  const problems: string[] = []
  const uploads = await openUploads(environment)
  const kept = uploads.filter(({ state, isPartial }) => state === 'completed' && !isPartial).slice(0, keep)
  for (const { id, ownerId, role, tenant } of uploads)
    if (!kept.some((upload) => upload.id === id))
      await environment.engine
        .cancel(userOf(ownerId, role, { tenant }), id)
        .catch((error: unknown) => problems.push(`upload ${id} cannot be cancelled: ${String(error)}`))
  await environment.engine.drained()
  // A sweep takes a limited number of uploads.
  for (let round = 0; (await environment.uploads.findNeedingCleanup(1)).length > 0 && round < 20; round += 1)
    await sweep(environment.engine, environment.uploads, new Date())

  const keys = new Set(kept.map(({ key }) => key))
  for (const key of await keysIn(environment)) if (!keys.delete(key)) problems.push(`${key} is orphaned`)
  for (const key of keys) problems.push(`${key} is missing`)
  const open = await environment.store.openMultiparts()
  if (open > 0) problems.push(`${open} multipart uploads are orphaned`)
  const [row] = await environment.database.query<{ parts: number }>(leftParts, [])
  if (row!.parts > 0) problems.push(`${row!.parts} rows in upload_parts belong to ended uploads`)
  return problems
}

/** How many uploads came to each end. The valid files are cancelled once they are complete. */
export async function countEnds({ database }: Environment): Promise<Record<string, number>> {
  const rows = await database.query<{ ended: string; uploads: number }>(ends, [])
  return Object.fromEntries(rows.map(({ ended: end, uploads }) => [end, uploads]))
}

async function openUploads({ database }: Environment): Promise<UploadRecord[]> {
  return (await database.query<UploadRow>(alive, [])).map(toUploadRecord)
}

async function keysIn({ store }: Environment): Promise<string[]> {
  const keys: string[] = []
  // The marker belongs to the store.
  for await (const key of store.list('')) if (key !== markerKey) keys.push(key)
  return keys
}

async function problemOf(upload: UploadRecord, { store }: Environment): Promise<string | null> {
  const { state, size, offset, key, tail } = upload
  if (size !== null && offset > size) return `offset ${offset} of ${size}`
  if (state === 'finishing') return `it is not completed: ${JSON.stringify(upload)}`
  for (const object of tail) {
    const info = state === 'receiving' ? await store.stat(object.key) : null
    if (state === 'receiving' && info?.size !== object.size) return `its tail object ${object.key} is missing`
  }
  if (state !== 'completed') return null
  const info = await store.stat(key)
  return info?.size === size ? null : `the object has ${info?.size} bytes and not ${size}`
}

async function until(condition: () => Promise<boolean>): Promise<boolean> {
  const deadline = performance.now() + 10_000
  while (performance.now() < deadline) {
    if (await condition()) return true
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  return false
}
