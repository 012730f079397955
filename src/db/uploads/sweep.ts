import type { UploadRepository } from '../../core/ports/uploads.ts'
import type { Database } from '../open.ts'
import type { Statement } from '../statement.ts'

const markNeedsCleanup = {
  name: 'upload-mark-needs-cleanup',
  // Also when another holder has taken over: the orphans may be newer than the last clean-up of the upload.
  text: `update upload_sessions set needs_cleanup = true, updated_at = now(), lease_token = nullif(lease_token, $2),
      lease_until = case when lease_token = $2 then null else lease_until end
    where id = $1`,
}
const cleanupVersion = {
  name: 'upload-cleanup-version',
  text: `select extract(epoch from updated_at)::text as version from upload_sessions where id = $1`,
}
const markCleanedUp = {
  name: 'upload-mark-cleaned-up',
  text: `update upload_sessions set needs_cleanup = false
    where id = $1 and state not in ('receiving', 'finishing') and extract(epoch from updated_at)::text = coalesce($2, extract(epoch from updated_at)::text)`,
}
const findUnfinished = {
  name: 'uploads-unfinished',
  text: `select id from upload_sessions
    where state = 'finishing' and updated_at < now() - $1 * interval '1 millisecond' and (lease_until is null or lease_until < now())
    order by updated_at limit $2`,
}
const findExpired = {
  name: 'uploads-expired',
  // A completed partial upload is kept while an open final upload needs it; the final upload has its own expiry.
  text: `select s.id from upload_sessions s
    where s.state in ('receiving', 'completed') and s.expires_at < $1
      and (s.state = 'receiving' or not exists (
        select from upload_sessions f
        where f.tenant = s.tenant and f.owner_id = s.owner_id and f.kind = 'final'
          and f.state in ('receiving', 'finishing') and f.partials ? s.id::text))
    order by s.expires_at limit $2`,
}
const findEnded = {
  name: 'uploads-ended',
  text: `select id from upload_sessions where id = any($1::uuid[]) and state not in ('receiving', 'finishing')`,
}
const findNeedingCleanup = {
  name: 'uploads-needing-cleanup',
  text: `select id from upload_sessions where needs_cleanup and state not in ('receiving', 'finishing') order by updated_at limit $1`,
}
const scheduleDeletion = {
  name: 'upload-schedule-deletion',
  text: `update upload_sessions set delete_due_at = coalesce(delete_due_at, $2)
    where id = $1 and state not in ('receiving', 'finishing', 'completed')`,
}
const findDeletionsDue = {
  name: 'uploads-deletions-due',
  text: `select id from upload_sessions where delete_due_at <= $1 order by delete_due_at limit $2`,
}

type Sweeps = Pick<
  UploadRepository,
  | 'markNeedsCleanup'
  | 'cleanupVersion'
  | 'markCleanedUp'
  | 'findUnfinished'
  | 'findExpired'
  | 'findEnded'
  | 'findNeedingCleanup'
  | 'scheduleDeletion'
  | 'findDeletionsDue'
>

/** What the periodic jobs find and record in `database`. */
export function sweeps(database: Database): Sweeps {
  const ids = async (statement: Statement, values: unknown[]) =>
    (await database.query<{ id: string }>(statement, values)).map((row) => row.id)
  return {
    async markNeedsCleanup(id, token) {
      await database.query(markNeedsCleanup, [id, token])
    },
    async cleanupVersion(id) {
      const [row] = await database.query<{ version: string }>(cleanupVersion, [id])
      return row?.version ?? ''
    },
    async markCleanedUp(id, version) {
      await database.query(markCleanedUp, [id, version ?? null])
    },
    findUnfinished: (idleMs, limit) => ids(findUnfinished, [idleMs, limit]),
    findExpired: (now, limit) => ids(findExpired, [now, limit]),
    findEnded: (among) => ids(findEnded, [among]),
    findNeedingCleanup: (limit) => ids(findNeedingCleanup, [limit]),
    async scheduleDeletion(id, dueAt) {
      await database.query(scheduleDeletion, [id, dueAt])
    },
    findDeletionsDue: (now, limit) => ids(findDeletionsDue, [now, limit]),
  }
}
