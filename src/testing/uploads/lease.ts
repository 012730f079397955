import type { LeaseRows } from '../../db/uploads/lease.ts'
import { isHeld, measured, type Row, type Rows, unmeasured } from './rows.ts'

/** The leases in the rows of uploads. */
export function leasesIn({ uploads }: Rows): LeaseRows {
  const found = (row: Row | undefined, read: typeof measured) =>
    row ? { upload: read(row), token: row.lease?.token ?? null, isHeld: isHeld(row.lease) } : null
  return {
    async acquire({ id, token }, leaseMs) {
      const row = uploads.get(id)
      if (!row) return null
      const { lease: before, record } = row
      const isTakeover = before !== null && before.token !== token
      if (isTakeover && isHeld(before)) return null
      row.lease = { token, until: Date.now() + leaseMs }
      if (record.state === 'receiving') row.isAnswerLost = false
      // An expired lease was never released, so its holder may have left objects that no row records.
      if (isTakeover) record.needsCleanup = true
      return { upload: measured(row), revision: row.revision, isTakeover }
    },
    find: async (id) => found(uploads.get(id), unmeasured),
    read: async (id) => found(uploads.get(id), measured),
    async renew(leases, leaseMs) {
      const held = leases.filter(({ id, token }) => uploads.get(id)?.lease?.token === token)
      for (const { id, token } of held) uploads.get(id)!.lease = { token, until: Date.now() + leaseMs }
      return new Set(held.map(({ id }) => id))
    },
    async release({ id, token }) {
      const row = uploads.get(id)
      if (row?.lease?.token === token) row.lease = null
    },
  }
}
