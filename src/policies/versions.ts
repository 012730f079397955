import type { PolicyDocument } from '../core/policy/policy.ts'
import type { Actor } from '../core/upload.ts'
import type { Database } from '../db/open.ts'
import { readPolicyDocument, writePolicyDocument } from './schema.ts'

/** A version of the policies, active from `createdAt` until the next version. */
export interface PolicyVersion {
  version: number
  document: PolicyDocument
  author: string
  note: string | null
  createdAt: Date
}

/** The author of a change and their note. */
export type ChangeNote = Pick<PolicyVersion, 'author' | 'note'> & { by?: Actor | undefined }

/** The policies in the database. Throws `UploadError DATABASE_ERROR`. */
export interface PolicyVersions {
  /** The newest one; `null` while there is none. */
  latest(): Promise<PolicyVersion | null>
  /** The newest one, if it is newer than `version`. */
  newerThan(version: number): Promise<PolicyVersion | null>
  find(version: number): Promise<PolicyVersion | null>
  /** The newest first. */
  list(page: { limit: number; before?: number | undefined }): Promise<PolicyVersion[]>
  /**
   * Adds `document` as the version after `expected` (0: as the first), with an audit entry, and notifies every server. @returns `null`
   * when `expected` is not the newest version
   */
  add(expected: number, document: PolicyDocument, note: ChangeNote): Promise<PolicyVersion | null>
}

/** The NOTIFY channel that announces new versions to every server. */
export const policyChannel = 'landfall_policies'

const columns = 'version, document, author, note, created_at'
const findNewer = {
  name: 'policies-newer',
  text: `select ${columns} from policy_versions where version > $1 order by version desc limit 1`,
}
const findOne = { name: 'policies-one', text: `select ${columns} from policy_versions where version = $1` }
const findPage = {
  name: 'policies-page',
  text: `select ${columns} from policy_versions where $1::int is null or version < $1 order by version desc limit $2`,
}
const addVersion = {
  name: 'policies-add',
  // The primary key lets one of two concurrent additions succeed. NOTIFY is sent on commit, and only if the version was added.
  text: `with added as (
      insert into policy_versions (version, document, author, note)
      select $1::int + 1, $2::json, $3, $4
      where coalesce((select max(version) from policy_versions), 0) = $1
      on conflict do nothing
      returning ${columns}),
    audited as (
      insert into audit_log (action, is_allowed, actor, role, tenant, key_id, target, address, agent, note)
      select 'policy.change', true, coalesce($5, author), $6, $7, $10, version::text, $8, $9, note from added)
    select added.*, pg_notify('${policyChannel}', added.version::text) from added`,
}

interface VersionRow {
  version: number
  document: unknown
  author: string
  note: string | null
  created_at: Date
}

/** The versions in `database`. @throws PolicyError from every method when a version has fields that this server does not know */
export function policyVersionsIn(database: Database): PolicyVersions {
  const first = async (statement: typeof findOne, values: unknown[]) => {
    const [row] = await database.query<VersionRow>(statement, values)
    return row ? toVersion(row) : null
  }
  return {
    latest: () => first(findNewer, [0]),
    newerThan: (version) => first(findNewer, [version]),
    find: (version) => first(findOne, [version]),
    async list({ limit, before }) {
      return (await database.query<VersionRow>(findPage, [before ?? null, limit])).map(toVersion)
    },
    async add(expected, document, { author, note, by }) {
      const json = JSON.stringify(writePolicyDocument(document))
      const auditActor = [
        by?.id ?? null,
        by?.role ?? null,
        by?.tenant ?? '',
        by?.client?.address ?? null,
        by?.client?.agent ?? null,
        by?.keyId ?? null,
      ]
      const values = [expected, json, author, note, ...auditActor]
      const added = await database.queryOnce<VersionRow>(addVersion, values)
      if (added) return added[0] ? toVersion(added[0]) : null
      // The connection broke and the outcome is unknown: the version in the database shows it.
      const written = await first(findOne, [expected + 1])
      const isOurs =
        written && written.author === author && JSON.stringify(writePolicyDocument(written.document)) === json
      return isOurs ? written : first(addVersion, values)
    },
  }
}

function toVersion({ document, created_at, ...row }: VersionRow): PolicyVersion {
  return { ...row, version: row.version, document: readPolicyDocument(document), createdAt: created_at }
}
