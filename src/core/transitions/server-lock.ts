import type { EngineContext } from '../engine-context.ts'
import type { Lease } from '../lease.ts'

/** Runs the server's own work under the lease of the upload: no actor asks, so nothing is checked. */
export function withServerLock<T>(
  { leases }: EngineContext,
  id: string,
  work: (lease: Lease) => Promise<T>,
): Promise<T> {
  return leases.withLease(id, () => {}, work)
}
