import type { LeaseRows } from '../db/uploads/lease.ts'
import type { LeaseMessage, LeaseTable } from './lease-table.ts'

/** Leases in the memory of one process, in `rows`. Every locker of the process that is given the table is a node of its own. */
export function memoryLeases(rows: LeaseRows): LeaseTable {
  const listeners = new Set<(message: LeaseMessage) => void>()
  return {
    ...rows,
    acquireNew: ({ token }, ms, insert) => insert({ token, holder: 'this process', ms }),
    release: async (lease, isReleasedInRow) => (isReleasedInRow ? undefined : rows.release(lease)),
    async send(message) {
      for (const onMessage of listeners) onMessage(message)
    },
    async listen(onMessage) {
      listeners.add(onMessage)
    },
  }
}
