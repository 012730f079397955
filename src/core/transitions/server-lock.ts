import type { EngineContext } from '../engine-context.ts'
import type { Lease } from '../ports/locks.ts'

/** Runs the server's own work under the lease of the upload: no actor asks, so nothing is checked. */
export function withServerLock<T>(
  { locker }: EngineContext,
  id: string,
  work: (lease: Lease) => Promise<T>,
): Promise<T> {
  return locker.withLock(id, () => {}, work)
}
