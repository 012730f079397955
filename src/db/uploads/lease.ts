import { currentUser } from '../../core/turns.ts'
import type { UnmeasuredUpload, UploadRecord } from '../../core/upload.ts'
import type { Database } from '../open.ts'
import { recordColumns, toUnmeasured, toUploadRecord, type UploadRow } from './row.ts'

const acquireLease = {
  name: 'lease-acquire',
  // An expired lease was never released, so its holder may have left objects that no row records: hence needs_cleanup. A row with
  // our own token was acquired by an earlier run of this statement whose answer was lost.
  text: `update upload_sessions s set lease_token = $2, lease_until = now() + $3 * interval '1 millisecond', lease_holder = $4,
      is_answer_lost = s.is_answer_lost and s.state <> 'receiving',
      needs_cleanup = s.needs_cleanup or (s.lease_until is not null and s.lease_token is distinct from $2)
    from (select lease_until, lease_token from upload_sessions where id = $1) before
    where s.id = $1 and (s.lease_until is null or s.lease_until < now() or s.lease_token = $2)
    returning ${recordColumns}, coalesce(before.lease_until < now() and before.lease_token <> $2, false) as is_takeover`,
}
const isHeld = 'coalesce(s.lease_until >= now(), false) as is_held'
const findLease = {
  name: 'lease-find',
  text: `select s.*, ${isHeld} from upload_sessions s where s.id = $1`,
}
const readLease = {
  name: 'lease-read',
  text: `select ${recordColumns}, ${isHeld} from upload_sessions s where s.id = $1`,
}
const renewLeases = {
  name: 'lease-renew',
  text: `update upload_sessions s set lease_until = now() + $3 * interval '1 millisecond'
    from unnest($1::uuid[], $2::uuid[]) as held(id, token)
    where s.id = held.id and s.lease_token = held.token
    returning s.id`,
}
const releaseLease = {
  name: 'lease-release',
  text: `update upload_sessions set lease_token = null, lease_until = null where id = $1 and lease_token = $2`,
}

interface LeaseRow extends UploadRow {
  is_held: boolean
  is_takeover: boolean
}

/** A lease in its row: the upload and the token of the holder. */
interface Lease {
  id: string
  token: string
}

/** The leases in the rows of uploads: their columns are a token, an expiry, and the name of the node that holds it. */
export interface LeaseRows {
  acquire(
    lease: Lease,
    leaseMs: number,
  ): Promise<{ upload: UploadRecord; revision: number; isTakeover: boolean } | null>
  find(id: string): Promise<{ upload: UnmeasuredUpload; token: string | null; isHeld: boolean } | null>
  read(id: string): Promise<{ upload: UploadRecord; token: string | null; isHeld: boolean } | null>
  renew(leases: Lease[], leaseMs: number): Promise<Set<string>>
  release(lease: Lease): Promise<void>
}

/** The leases in `database`, for the node with the name `node`. */
export function leaseRows(database: Database, node: string): LeaseRows {
  return {
    async acquire({ id, token }, leaseMs) {
      // Requests of one user that take leases at the same time share a commit. Those of others do not wait for a row of this user.
      const user = currentUser()
      const group = user === null ? undefined : `leases ${user}`
      const [row] = await database.query<LeaseRow>(acquireLease, [id, token, leaseMs, node], group)
      return row ? { upload: toUploadRecord(row), revision: row.revision, isTakeover: row.is_takeover } : null
    },
    async find(id) {
      const [row] = await database.query<LeaseRow>(findLease, [id])
      return row ? { upload: toUnmeasured(row), token: row.lease_token, isHeld: row.is_held } : null
    },
    async read(id) {
      const [row] = await database.query<LeaseRow>(readLease, [id])
      return row ? { upload: toUploadRecord(row), token: row.lease_token, isHeld: row.is_held } : null
    },
    async renew(leases, leaseMs) {
      const ids = leases.map((lease) => lease.id)
      const tokens = leases.map((lease) => lease.token)
      const rows = await database.query<{ id: string }>(renewLeases, [ids, tokens, leaseMs])
      return new Set(rows.map((row) => row.id))
    },
    async release({ id, token }) {
      await database.query(releaseLease, [id, token])
    },
  }
}
