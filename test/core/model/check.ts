import { isUploadError } from '../../../src/core/errors/error.ts'
import { hasEnded, type UploadRecord } from '../../../src/core/upload.ts'
import { reconcile } from '../../../src/features/usage/reconcile.ts'
import { until } from '../../support/until.ts'
import type { Node } from './faulty-node.ts'
import { checkObject, mayHaveObject, Violation } from './known-upload.ts'
import type { World } from './world.ts'

/**
 * Checks the store, the database and every node once all requests have ended and the background jobs have nothing left to do.
 * @throws Violation
 */
export async function checkAfterwards(world: World, node: Node): Promise<void> {
  const { store, database, uploads, user } = world
  const query = <T>(text: string) => database.query<T>({ name: '', text }, [user.id])
  const rows = await query<{ id: string }>('select id from upload_sessions where owner_id = $1')
  const records = (await Promise.all(rows.map(({ id }) => world.repository.find(id)))) as UploadRecord[]

  for (const { id, state } of records)
    if (!hasEnded({ state })) throw new Violation(`${nameOf(world, id)} is still ${state}`)
  for (const known of uploads) {
    const upload = records.find(({ id }) => id === known.id)!
    if (known.isCompleted && mayHaveObject(known, world) && upload.state !== 'completed')
      throw new Violation(`${known.name} was completed, and is now ${upload.state}`)
    if (upload.state === 'completed') checkObject(known, upload, world)
  }

  const files = records.filter(({ state }) => state === 'completed')
  for (const { id, isPartial } of files)
    if (isPartial) throw new Violation(`${nameOf(world, id)} is a partial upload and was kept as a file`)
  const keys = new Set(files.map(({ key }) => key))
  for (const key of store.objects.keys())
    if (!keys.has(key)) throw new Violation(`the object ${key} was left in the store`)
  for (const key of keys)
    if (!store.objects.has(key)) throw new Violation(`the object ${key} is missing from the store`)
  for (const { key } of store.multiparts.values())
    throw new Violation(`a multipart upload for ${nameOfKey(world, records, key)} was left in the store`)

  for (const { budget, locker, reportedErrors: reported } of [...world.living(), node]) {
    // Caches are evicted when memory is short: what remains in use was leaked.
    budget.add(budget.limit)
    await until(() => budget.used <= budget.limit)
    budget.release(budget.limit)
    if (budget.used !== 0) throw new Violation(`${budget.used} bytes of memory were not given back`)
    if (locker.held() !== 0) throw new Violation('a node holds a lease')
    for (const error of reported)
      if (!isUploadError(error)) throw new Violation('an error outside the error table', { cause: error })
  }
  const held = await query(
    'select id from upload_sessions where owner_id = $1 and (lease_until > now() or needs_cleanup)',
  )
  if (held.length > 0) throw new Violation('an upload is leased, or needs cleanup')
  const parts = await query(
    `select 1 from upload_parts p join upload_sessions s on s.id = p.upload_id where s.owner_id = $1`,
  )
  if (parts.length > 0) throw new Violation('there are parts or part locks of uploads that have ended')

  const drifts = (await reconcile(database, true)).filter((drift) => drift.user === user.id)
  if (drifts.length > 0)
    throw new Violation(`the recorded usage differs from what is stored: ${JSON.stringify(drifts)}`)
  await checkEvents(world, records)
}

/** Every upload has a `created` event, then one for its end; a completed upload may be cancelled afterwards. */
async function checkEvents({ database, user, ...world }: World, uploads: UploadRecord[]): Promise<void> {
  const events = await database.query<{ upload_id: string; seq: number; type: string }>(
    {
      name: 'test-events',
      text: `select upload_id, seq, type from upload_events e join upload_sessions s on s.id = e.upload_id where s.owner_id = $1 order by seq`,
    },
    [user.id],
  )
  for (const { id, isPartial, state } of uploads) {
    const its = events.filter((event) => event.upload_id === id)
    const types = its.map(({ type }) => type.replace('upload.', '')).join(' ')
    const allowed = isPartial ? [''] : [`created ${state}`]
    if (state === 'cancelled' && !isPartial) allowed.push('created completed cancelled')
    if (!allowed.includes(types))
      throw new Violation(`${nameOf({ ...world }, id)} is ${state}, and its events are ${types}`)
    if (its.some(({ seq }, index) => seq !== index + 1)) throw new Violation('the events are not numbered without gaps')
  }
}

function nameOf({ uploads }: Pick<World, 'uploads'>, id: string): string {
  return uploads.find((known) => known.id === id)?.name ?? `an upload whose creation was not answered (${id})`
}

function nameOfKey(world: World, uploads: UploadRecord[], key: string): string {
  const upload = uploads.find((candidate) => candidate.key === key)
  return upload ? nameOf(world, upload.id) : key
}
