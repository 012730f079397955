import type { NewStep } from '../../core/content.ts'
import type { Database } from '../../db/open.ts'

const pageSize = 1000
const insert = {
  name: 'steps-backfill',
  text: `insert into steps (content_id, name, version, is_blocking, state, priority, next_at, created_at)
    select c.id, step.name, step.version, true, 'waiting', 0, $2, $2
    from (select id from contents c where state = 'held' and not exists (select from steps where content_id = c.id) limit $3) c,
      jsonb_to_recordset($1::jsonb) as step(name text, version int)
    on conflict do nothing returning id`,
}

/**
 * Writes the blocking steps of held contents that have none: those of files that were adopted from a store. Behind fresh uploads. Returns
 * how many.
 */
export async function backfillSteps(database: Database, steps: NewStep[], now: Date): Promise<number> {
  const blocking = steps.filter(({ isBlocking }) => isBlocking)
  if (blocking.length === 0) return 0
  return (await database.query(insert, [JSON.stringify(blocking), now, pageSize])).length
}
