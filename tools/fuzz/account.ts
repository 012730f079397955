import { markerKey } from '../../src/core/pairing/marker.ts'
import { tailPrefixOf } from '../../src/core/transitions/clean-up.ts'
import { type UploadRecord, userOf } from '../../src/core/upload.ts'
import { toUploadRecord, type UploadRow } from '../../src/db/upload-row.ts'
import { sweep } from '../../src/jobs/sweep.ts'
import type { Ground } from './ground.ts'

const alive = {
  name: 'fuzz-alive',
  text: `select * from upload_sessions where state in ('receiving', 'finishing', 'completed') order by created_at desc`,
}
const needsCleanup = {
  name: 'fuzz-dirty',
  text: `select * from upload_sessions where needs_cleanup and state not in ('receiving', 'finishing')`,
}
const ended = {
  name: 'fuzz-ended',
  text: `select 'uploads ' || state || case when completed_at is null then '' else ', were whole' end as fate, count(*)::int as uploads
    from upload_sessions group by fate`,
}
const held = {
  name: 'fuzz-held',
  text: `select (select count(*) from upload_sessions where lease_until > now())::int as leases,
    (select count(*) from upload_parts where locked_until > now())::int as claims`,
}
const leftParts = {
  name: 'fuzz-left-parts',
  text: `select count(*)::int as parts from upload_parts p join upload_sessions s on s.id = p.upload_id
    where s.state not in ('receiving', 'finishing')`,
}

/** What is wrong when nobody asks anything any more: connections, leases, claims, and what lies in the store and belongs to nobody. */
export async function account(ground: Ground): Promise<string[]> {
  const wrong: string[] = []
  const settled = await until(async () => (await ground.connections()) === 0)
  if (!settled) wrong.push(`${await ground.connections()} connections stay open`)
  // The good clients' own pool must have heard of it.
  await new Promise((resolve) => setTimeout(resolve, 100))
  await ground.engine.drained()
  const isFree = await until(async () => {
    const [row] = await ground.database.query<{ leases: number; claims: number }>(held, [])
    return row!.leases === 0 && row!.claims === 0
  })
  if (!isFree) wrong.push(`leases or claims are held: ${JSON.stringify(await ground.database.query(held, []))}`)

  const uploads = await living(ground)
  for (const upload of uploads) {
    const fault = await faultOf(upload, ground)
    if (fault) wrong.push(`upload ${upload.id}, ${upload.state}: ${fault}`)
  }
  // What an upload that has ended has left behind is the sweeper's, who must know of it.
  const littering = (await ground.database.query<UploadRow>(needsCleanup, [])).map(toUploadRecord)
  const owned = new Set([...uploads.filter(({ state }) => state !== 'receiving'), ...littering].map(({ key }) => key))
  const folders = [...uploads, ...littering].map(({ id }) => tailPrefixOf(id))
  for (const key of await keysIn(ground))
    if (!owned.has(key) && !folders.some((folder) => key.startsWith(folder))) wrong.push(`${key} belongs to no upload`)
  return wrong
}

/** Gives up every upload but the newest complete ones, and says what is left that should not be. */
export async function clear(ground: Ground, keep: number): Promise<string[]> {
  const wrong: string[] = []
  const uploads = await living(ground)
  const kept = uploads.filter(({ state, concat }) => state === 'completed' && concat?.kind !== 'partial').slice(0, keep)
  for (const { id, ownerId, role, tenant } of uploads)
    if (!kept.some((one) => one.id === id))
      await ground.engine
        .cancel(userOf(ownerId, role, { tenant }), id)
        .catch((error: unknown) => wrong.push(`upload ${id} cannot be given up: ${String(error)}`))
  await ground.engine.drained()
  // As many at once as it takes in a minute.
  for (let round = 0; (await ground.sessions.findNeedingCleanup(1)).length > 0 && round < 20; round += 1)
    await sweep(ground.engine, ground.sessions, new Date())

  const keys = new Set(kept.map(({ key }) => key))
  for (const key of await keysIn(ground)) if (!keys.delete(key)) wrong.push(`${key} is left`)
  for (const key of keys) wrong.push(`${key} is gone`)
  const open = await ground.store.openMultiparts()
  if (open > 0) wrong.push(`${open} multipart uploads are left`)
  const [row] = await ground.database.query<{ parts: number }>(leftParts, [])
  if (row!.parts > 0) wrong.push(`${row!.parts} receipts of uploads that have ended are left`)
  return wrong
}

/** How many uploads came to which end; the good ones are given up when they have arrived. */
export async function fates({ database }: Ground): Promise<Record<string, number>> {
  const rows = await database.query<{ fate: string; uploads: number }>(ended, [])
  return Object.fromEntries(rows.map(({ fate, uploads }) => [fate, uploads]))
}

async function living({ database }: Ground): Promise<UploadRecord[]> {
  return (await database.query<UploadRow>(alive, [])).map(toUploadRecord)
}

async function keysIn({ store }: Ground): Promise<string[]> {
  const keys: string[] = []
  // The store's own marker is no upload's.
  for await (const key of store.list('')) if (key !== markerKey) keys.push(key)
  return keys
}

async function faultOf(upload: UploadRecord, { store }: Ground): Promise<string | null> {
  const { state, size, offset, key, tail } = upload
  if (size !== null && offset > size) return `offset ${offset} of ${size}`
  if (state === 'finishing') return `it is not finished: ${JSON.stringify(upload)}`
  for (const chunk of tail) {
    const info = state === 'receiving' ? await store.stat(chunk.key) : null
    if (state === 'receiving' && info?.size !== chunk.size) return `its piece ${chunk.key} is not there`
  }
  if (state !== 'completed') return null
  const info = await store.stat(key)
  return info?.size === size ? null : `the object has ${info?.size} bytes and not ${size}`
}

async function until(isSo: () => Promise<boolean>): Promise<boolean> {
  const deadline = performance.now() + 10_000
  while (performance.now() < deadline) {
    if (await isSo()) return true
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  return false
}
