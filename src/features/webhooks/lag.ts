import type { Database } from '../../db/open.ts'
import { oldestDue } from './delivery-rows.ts'

/** How long the oldest delivery has been due. */
export interface Lag {
  /** 0: none is due. */
  seconds(): number
  close(): void
}

const readMs = 15_000

/** Reads the oldest delivery of all servers every quarter of a minute; in between its age grows by itself. */
export function watchLag({
  database,
  now,
  onError,
}: {
  database: Database
  now(): Date
  onError(error: unknown): void
}): Lag {
  let dueAt: Date | null = null
  const timer = setInterval(() => {
    oldestDue(database).then((found) => {
      dueAt = found
    }, onError)
  }, readMs)
  timer.unref()
  return {
    seconds: () => (dueAt === null ? 0 : Math.max(0, (now().getTime() - dueAt.getTime()) / 1000)),
    close: () => clearInterval(timer),
  }
}
