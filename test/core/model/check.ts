import { isUploadError } from '../../../src/core/errors/error.ts'
import { hasEnded, type UploadRecord } from '../../../src/core/upload.ts'
import { reconcile } from '../../../src/features/quotas/reconcile.ts'
import { until } from '../../support/until.ts'
import type { Node } from './faulty-node.ts'
import { checkObject, mayHaveObject, Violation } from './known-upload.ts'
import type { World } from './world.ts'

/**
 * What must be true when everybody has gone home and the background work has nothing left to do.
 * @throws Violation
 */
export async function checkAfterwards(world: World, calm: Node): Promise<void> {
  const { store, database, uploads, user } = world
  const ask = <T>(text: string) => database.query<T>({ name: '', text }, [user.id])
  const rows = await ask<{ id: string }>('select id from upload_sessions where owner_id = $1')
  const sessions = (await Promise.all(rows.map(({ id }) => world.sessions.find(id)))) as UploadRecord[]

  for (const { id, state } of sessions)
    if (!hasEnded({ state })) throw new Violation(`${nameOf(world, id)} is ${state} for ever`)
  for (const known of uploads) {
    const upload = sessions.find(({ id }) => id === known.id)!
    if (known.isCompleted && mayHaveObject(known, world) && upload.state !== 'completed')
      throw new Violation(`${known.name} was completed, and is ${upload.state}`)
    if (upload.state === 'completed') checkObject(known, upload, world)
  }

  const files = sessions.filter(({ state }) => state === 'completed')
  for (const { id, concat } of files)
    if (concat?.kind === 'partial') throw new Violation(`${nameOf(world, id)} is kept, and is no file`)
  const keys = new Set(files.map(({ key }) => key))
  for (const key of store.objects.keys()) if (!keys.has(key)) throw new Violation(`${key} is left in the store`)
  for (const key of keys) if (!store.objects.has(key)) throw new Violation(`${key} is not in the store`)
  for (const { key } of store.multiparts.values())
    throw new Violation(`a multipart upload for ${nameOfKey(world, sessions, key)} is left`)

  for (const { budget, locker, faults } of [...world.living(), calm]) {
    // What is only kept for speed is given up when memory is short.
    budget.add(budget.limit)
    await until(() => budget.used <= budget.limit)
    budget.release(budget.limit)
    if (budget.used !== 0) throw new Violation(`${budget.used} bytes of memory were not given back`)
    if (locker.held() !== 0) throw new Violation('a lease is held')
    for (const fault of faults)
      if (!isUploadError(fault)) throw new Violation('a fault that is no refusal', { cause: fault })
  }
  const held = await ask(
    'select id from upload_sessions where owner_id = $1 and (lease_until > now() or needs_cleanup)',
  )
  if (held.length > 0) throw new Violation('somebody holds a lease, or there is something left to be cleaned up')
  const parts = await ask(
    `select 1 from upload_parts p join upload_sessions s on s.id = p.upload_id where s.owner_id = $1`,
  )
  if (parts.length > 0) throw new Violation('there are receipts or claims of parts that are no more')

  const drifts = (await reconcile(database, true)).filter((drift) => drift.user === user.id)
  if (drifts.length > 0) throw new Violation(`usage is not what is there: ${JSON.stringify(drifts)}`)
  await checkEvents(world, sessions)
}

/** First that it began, then one end; a completed one may be cancelled after that. */
async function checkEvents({ database, user, ...world }: World, uploads: UploadRecord[]): Promise<void> {
  const events = await database.query<{ upload_id: string; seq: number; type: string }>(
    {
      name: 'test-events',
      text: `select upload_id, seq, type from upload_events e join upload_sessions s on s.id = e.upload_id where s.owner_id = $1 order by seq`,
    },
    [user.id],
  )
  for (const { id, concat, state } of uploads) {
    const its = events.filter((event) => event.upload_id === id)
    const stated = its.map(({ type }) => type.replace('upload.', '')).join(' ')
    const allowed = concat?.kind === 'partial' ? [''] : [`created ${state}`]
    if (state === 'cancelled' && concat?.kind !== 'partial') allowed.push('created completed cancelled')
    if (!allowed.includes(stated))
      throw new Violation(`${nameOf({ ...world }, id)} is ${state}, and was told of as ${stated}`)
    if (its.some(({ seq }, index) => seq !== index + 1)) throw new Violation('events are not numbered one by one')
  }
}

function nameOf({ uploads }: Pick<World, 'uploads'>, id: string): string {
  return uploads.find((known) => known.id === id)?.name ?? `an upload of which nobody heard (${id})`
}

function nameOfKey(world: World, uploads: UploadRecord[], key: string): string {
  const upload = uploads.find((one) => one.key === key)
  return upload ? nameOf(world, upload.id) : key
}
