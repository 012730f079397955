/*
 * The rows of steps. A worker takes a row with a token and a lease, and every later write names the token: a worker whose lease ran out
 * writes nothing. A row whose lease ran out was taken by a worker that ended, or lost the database; it is taken again, three times at most.
 */
import { sql } from 'drizzle-orm'
import type { Database } from '../../db/open.ts'
import { type Ending, maxAttempts, maxCrashes, retryDelayMs, type StepFile } from './step.ts'

/** A step that this worker runs. */
export interface TakenStep {
  id: number
  name: string
  version: number
  /** Of this attempt, from 1. */
  attempt: number
  token: string
  file: StepFile
}

export interface TakeOptions {
  /** Only these; those of a newer server, or of a module that is gone, wait. */
  names: string[]
  now: Date
  leaseUntil: Date
  token: string
  /** Takes what has waited longest, whatever its priority. */
  isOldest: boolean
}

const take = (order: string) => `with due as (
      select id from steps where state = 'waiting' and next_at <= $2 and name = any($1::text[])
      order by ${order} limit 1 for update skip locked)
    update steps s set state = 'running', lease_token = $4, lease_until = $3, attempts = s.attempts + 1
    from due, contents c, nodes n
    where s.id = due.id and c.id = s.content_id and n.id = c.id
    returning s.id, s.name, s.version, s.attempts, c.id as content_id, nullif(c.tenant, '') as tenant, c.key, c.size,
      c.content_type, n.name as filename, n.owner_id`
const takeFirst = { name: 'step-take', text: take('priority desc, next_at, id') }
const takeOldest = { name: 'step-take-oldest', text: take('id') }
const renew = {
  name: 'step-renew',
  text: `update steps set lease_until = $3 where id = $1 and lease_token = $2 returning id`,
}
const giveBack = {
  name: 'step-give-back',
  text: `update steps set state = 'waiting', lease_token = null, lease_until = null, attempts = attempts - 1
    where id = $1 and lease_token = $2`,
}
const recover = {
  name: 'step-recover',
  text: `update steps set lease_token = null, lease_until = null, crashes = crashes + 1,
      state = case when crashes + 1 >= $2 then 'dead' else 'waiting' end,
      reason = case when crashes + 1 >= $2 then 'the worker ended ' || $2 || ' times while it ran' else reason end,
      ended_at = case when crashes + 1 >= $2 then $1::timestamptz end, next_at = $1
    where state = 'running' and lease_until < $1 returning id`,
}

interface TakenRow {
  id: number
  name: string
  version: number
  attempts: number
  content_id: string
  tenant: string | null
  key: string
  size: number
  content_type: string
  filename: string
  owner_id: string
}

/** Takes the next step that is due; `null`: none is. */
export async function takeStep(database: Database, options: TakeOptions): Promise<TakenStep | null> {
  const { names, now, leaseUntil, token, isOldest } = options
  const values = [names, now, leaseUntil, token]
  // When the answer is lost the lease runs out.
  const rows = await database.queryOnce<TakenRow>(isOldest ? takeOldest : takeFirst, values)
  const row = rows?.[0]
  if (!row) return null
  const { id, name, version, attempts, content_id, tenant, key, size, content_type, filename, owner_id } = row
  const file = { id: content_id, tenant, ownerId: owner_id, key, size, name: filename, contentType: content_type }
  return { id, name, version, attempt: attempts, token, file }
}

/** False: the step is not this worker's any more. */
export async function renewStep(database: Database, { id, token }: TakenStep, leaseUntil: Date): Promise<boolean> {
  return (await database.query(renew, [id, token, leaseUntil])).length > 0
}

/** Gives back a step that was not tried: the worker stops. */
export async function giveStepBack(database: Database, { id, token }: TakenStep): Promise<void> {
  await database.query(giveBack, [id, token])
}

/** Takes back the steps whose leases ran out. Returns how many. */
export async function recoverSteps(database: Database, now: Date): Promise<number> {
  return (await database.query(recover, [now, maxCrashes])).length
}

/**
 * Saves how the step ended, with what follows from it for the content, its other steps and the event, in one transaction. False, and
 * nothing is changed, when the step is not this worker's any more.
 * @param random from 0 to 1, for the delay of a retry
 */
export function endStep(
  database: Database,
  step: TakenStep,
  ending: Ending,
  { now, random }: { now: Date; random: number },
): Promise<boolean> {
  const at = now.toISOString()
  const isRetry = ending.outcome === 'fail' && ending.canRetry && step.attempt < maxAttempts
  const failed = ending.outcome === 'fail' && ending.canRetry ? 'dead' : 'failed'
  const state = ending.outcome === 'fail' ? (isRetry ? 'waiting' : failed) : 'done'
  const outcome = ending.outcome === 'fail' ? null : ending.outcome
  const reason = ending.outcome === 'pass' ? null : ending.reason
  const nextAt = new Date(now.getTime() + retryDelayMs(step.attempt, random)).toISOString()
  const contentId = step.file.id
  return database.orm.transaction(async (tx) => {
    const run = async <T>(query: ReturnType<typeof sql>) => ((await tx.execute(query)) as unknown as { rows: T[] }).rows
    // The row of the upload is locked first, as by every statement that changes an upload and its content. Two last steps of a content
    // take turns here, so the second one sees that the first has passed.
    await run(sql`select from upload_sessions where id = ${contentId} for update`)
    const ended = await run(sql`update steps set state = ${state}, outcome = ${outcome}, reason = ${reason},
        result = ${ending.result === undefined ? null : JSON.stringify(ending.result)}::jsonb,
        lease_token = null, lease_until = null, ended_at = case when ${isRetry} then null else ${at}::timestamptz end,
        next_at = case when ${isRetry} then ${nextAt}::timestamptz else next_at end
      where id = ${step.id} and lease_token = ${step.token} returning id`)
    if (ended.length === 0) return false
    if (ending.digests)
      await run(sql`update contents set sha256 = ${ending.digests.sha256}, crc32 = coalesce(crc32, ${ending.digests.crc32})
        where id = ${contentId}`)
    if (outcome === 'reject') await quarantine(run, contentId, at, ending)
    if (outcome === 'pass') await release(run, contentId)
    return true
  })
}

type Run = <T>(query: ReturnType<typeof sql>) => Promise<T[]>

/** Makes a held content live once nothing blocks it any more. */
async function release(run: Run, contentId: string): Promise<void> {
  const released = await run(sql`update contents set state = 'live' where id = ${contentId} and state = 'held'
    and not exists (select from steps where content_id = ${contentId} and is_blocking
      and not (state = 'skipped' or (state = 'done' and outcome = 'pass'))) returning id`)
  if (released.length > 0) await writeEvent(run, contentId, 'file.available', null)
}

async function quarantine(run: Run, contentId: string, at: string, ending: Ending): Promise<void> {
  await run(sql`update steps set state = 'skipped', ended_at = ${at}::timestamptz
    where content_id = ${contentId} and state = 'waiting'`)
  const changed = await run(sql`update contents set state = 'quarantined'
    where id = ${contentId} and state in ('held', 'live') returning id`)
  const reason = 'reason' in ending ? ending.reason : null
  if (changed.length > 0) await writeEvent(run, contentId, 'file.quarantined', reason)
}

/** Of a deleted file there is nothing to tell; its content keeps its state, in case it is restored. */
async function writeEvent(
  run: Run,
  contentId: string,
  type: 'file.available' | 'file.quarantined',
  failure: string | null,
): Promise<void> {
  await run(sql`with saved as (
      update upload_sessions set event_seq = event_seq + 1 where id = ${contentId} and state = 'completed' returning *)
    insert into upload_events (upload_id, seq, type, data)
    select id, event_seq, ${type}, jsonb_build_object('ownerId', owner_id, 'tenant', nullif(tenant, ''), 'role', role, 'key', key,
      'filename', filename, 'contentType', content_type, 'category', category, 'size', size, 'failure', ${failure}::text)
    from saved`)
}
