import type { StoppedSteps, UploadSteps } from '../../contract/steps.ts'
import type { ContentState, StepOutcome, StepState } from '../../core/content.ts'
import type { Database } from '../../db/open.ts'

interface StepRow {
  name: string
  blocking: boolean
  state: StepState
  outcome: StepOutcome | null
  reason: string | null
  attempts: number
  nextAt: Date
  createdAt: Date
  endedAt: Date | null
  result: Record<string, unknown> | null
}

interface StoppedRow extends StepRow {
  id: number
  uploadId: string
  user: string
  tenant: string | null
  filename: string
  content: ContentState
}

// The names of the API.
const columns = `s.name, s.is_blocking as blocking, s.state, s.outcome, s.reason, s.attempts, s.next_at as "nextAt",
  s.created_at as "createdAt", s.ended_at as "endedAt", s.result`
const findContent = { name: 'step-content', text: 'select state from contents where id = $1' }
const findSteps = { name: 'steps-of-upload', text: `select ${columns} from steps s where content_id = $1 order by id` }
// The condition of the index: steps that are waiting or have passed are not read.
const isStopped = `(s.state in ('failed', 'dead') or s.outcome in ('hold', 'reject'))`
const findStopped = {
  name: 'steps-stopped',
  text: `select ${columns}, s.id, c.id as "uploadId", n.owner_id as "user", nullif(n.tenant, '') as tenant, n.name as filename,
      c.state as content
    from steps s join contents c on c.id = s.content_id join nodes n on n.id = c.id
    where ${isStopped} and n.trashed_at is null and ($2::bigint is null or s.id < $2) and ($3::text is null or n.tenant = $3)
    order by s.id desc limit $1`,
}
const retry = {
  name: 'step-retry',
  text: `update steps set state = 'waiting', attempts = 0, crashes = 0, priority = 80, next_at = $3, outcome = null, ended_at = null
    where content_id = $1 and name = $2 and (state in ('failed', 'dead', 'waiting') or outcome = 'hold') returning id`,
}
const exists = { name: 'step-exists', text: 'select from steps where content_id = $1 and name = $2' }

/** What followed the upload `id`, and whether readers may have the file. */
export async function findTimeline(database: Database, id: string): Promise<UploadSteps> {
  const [content] = await database.query<{ state: ContentState }>(findContent, [id])
  const steps = await database.query<StepRow>(findSteps, [id])
  return { ...availabilityOf(content?.state ?? null, steps), steps: steps.map(viewOf) }
}

/** A page of the steps that do not go on by themselves, newest first; of files that were not deleted. */
export async function findStoppedSteps(
  database: Database,
  { limit, before, tenant }: { limit: number; before?: number | undefined; tenant?: string | undefined },
): Promise<StoppedSteps['steps']> {
  const rows = await database.query<StoppedRow>(findStopped, [limit, before ?? null, tenant ?? null])
  return rows.map((row) => {
    const { id, uploadId, user, tenant, filename, content } = row
    return { ...viewOf(row), id, uploadId, user, tenant, filename, content }
  })
}

/**
 * Has a step tried again soon, before older work: one that failed, that waits for its next attempt, or that holds the file. A rejected file
 * stays rejected.
 */
export async function retryStep(
  database: Database,
  id: string,
  name: string,
  now: Date,
): Promise<'retried' | 'ended' | 'missing'> {
  if ((await database.query(retry, [id, name, now])).length > 0) return 'retried'
  return (await database.query(exists, [id, name])).length > 0 ? 'ended' : 'missing'
}

/** Whether readers may have the file; `null`: there is none yet. */
export function availabilityOf(
  content: ContentState | null,
  steps: Pick<StepRow, 'blocking' | 'state' | 'outcome' | 'reason'>[],
): Pick<UploadSteps, 'available' | 'reason'> {
  if (content === null || content === 'gone') return { available: 'no', reason: null }
  if (content === 'live') return { available: 'yes', reason: null }
  const isBlocked = ({ blocking, state, outcome }: (typeof steps)[number]) =>
    blocking && (state === 'failed' || state === 'dead' || outcome === 'hold' || outcome === 'reject')
  const blocker = steps.find(isBlocked)
  if (blocker || content === 'quarantined') return { available: 'blocked', reason: blocker?.reason ?? null }
  return { available: 'checking', reason: null }
}

function viewOf({ name, blocking, state, outcome, reason, attempts, nextAt, createdAt, endedAt, result }: StepRow) {
  return {
    ...{ name, blocking, state, outcome, reason, attempts, result },
    nextAt: state === 'waiting' ? nextAt.toISOString() : null,
    createdAt: createdAt.toISOString(),
    endedAt: endedAt?.toISOString() ?? null,
  }
}
