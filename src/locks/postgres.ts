import { randomUUID } from 'node:crypto'
import type { Database } from '../db/open.ts'
import { leaseRows } from '../db/uploads/lease.ts'
import type { LeaseMessage, LeaseTable } from './lease-table.ts'

const notify = { name: 'lease-notify', text: `select pg_notify($1, $2)` }
const channel = 'landfall_lease'

/** Leases in the rows of the uploads, so that one statement takes the lease and reads the row; messages are NOTIFY. */
export function postgresLeases(database: Database): LeaseTable {
  const holder = randomUUID()
  const rows = leaseRows(database, holder)
  return {
    ...rows,
    acquireNew: ({ token }, ms, insert) => insert({ token, holder, ms }),
    release: async (lease, isReleasedInRow) => (isReleasedInRow ? undefined : rows.release(lease)),
    async send({ verb, id }) {
      await database.query(notify, [channel, `${verb} ${id}`])
    },
    listen: (onMessage) =>
      database.listen(channel, (payload) => {
        const [verb, id = ''] = payload.split(' ')
        onMessage({ verb: verb as LeaseMessage['verb'], id })
      }),
  }
}
