import type { UploadQuery, UploadRepository } from '../../core/ports/uploads.ts'
import type { StoredPart } from '../../core/upload.ts'
import type { Database } from '../open.ts'
import { isBeingWritten } from './being-written.ts'
import { receiptAsJson, receiptColumns } from './part-columns.ts'
import { recordColumns, toUploadRecord, type UploadRow } from './row.ts'

const withWriting = `${recordColumns}, ${isBeingWritten} as is_being_written`
const findUpload = {
  name: 'upload-find',
  text: `select ${withWriting} from upload_sessions s where s.id = $1`,
}
const findUploads = {
  name: 'uploads-find',
  text: `select ${withWriting} from upload_sessions s where s.id = any($1::uuid[])`,
}
/** One statement for each set of conditions: the plan of one statement for all of them would read all rows of a user. */
function listUploads({ before, state, fingerprint }: Pick<UploadQuery, 'before' | 'state' | 'fingerprint'>) {
  const name = ['upload-list', before && 'before', state, fingerprint !== undefined && 'file'].filter(Boolean).join('-')
  const isUnexpired = state === 'receiving' ? 'and (s.expires_at is null or s.expires_at > now())' : ''
  return {
    name,
    text: `select ${withWriting} from upload_sessions s
      where s.tenant = $2 and s.owner_id = $1 and not s.is_partial
        ${state ? `and s.state = '${state}' ${isUnexpired}` : ''}
        ${fingerprint === undefined ? '' : `and s.fingerprint = $${before ? 5 : 4}`}
        ${before ? 'and (s.created_at, s.id) < ((select b.created_at from upload_sessions b where b.id = $4 and b.tenant = $2 and b.owner_id = $1), $4)' : ''}
      order by s.created_at desc, s.id desc limit $3`,
  }
}
const findFinal = {
  name: 'upload-find-final',
  text: `select id from upload_sessions
    where tenant = $3 and owner_id = $1 and kind = 'final' and md5(partials::text) = md5($2::jsonb::text) and partials = $2::jsonb
      and state in ('receiving', 'finishing', 'completed')
    order by created_at desc limit 1`,
}
const findParts = {
  name: 'parts-find',
  text: `select ${receiptColumns} from upload_parts where upload_id = $1 and lock_token is null order by number`,
}
const findUnlocked = {
  name: 'upload-find-unlocked',
  text: `select ${recordColumns} from upload_sessions s
    where s.id = $1 and not exists (select from upload_parts where upload_id = s.id and locked_until >= now())`,
}
const findWithParts = {
  name: 'upload-find-with-parts',
  text: `select ${recordColumns}, (select coalesce(jsonb_agg(${receiptAsJson} order by number), '[]')
      from upload_parts where upload_id = s.id and lock_token is null) as parts
    from upload_sessions s where s.id = $1`,
}

type Reads = Pick<
  UploadRepository,
  'find' | 'findUnlocked' | 'findWithParts' | 'findAll' | 'list' | 'findFinal' | 'parts'
>

/** Reads uploads and their parts in `database`. */
export function uploadReads(database: Database): Reads {
  return {
    async find(id) {
      const [row] = await database.query<UploadRow>(findUpload, [id])
      return row ? toUploadRecord(row) : null
    },
    async findAll(ids) {
      return (await database.query<UploadRow>(findUploads, [ids])).map(toUploadRecord)
    },
    async list({ ownerId, tenant }, page) {
      const { limit, before, fingerprint } = page
      const values = [ownerId, tenant ?? '', limit, before, fingerprint].filter((value) => value !== undefined)
      return (await database.query<UploadRow>(listUploads(page), values)).map(toUploadRecord)
    },
    async findFinal({ ownerId, tenant }, from) {
      const [row] = await database.query<{ id: string }>(findFinal, [ownerId, JSON.stringify(from), tenant ?? ''])
      return row?.id ?? null
    },
    parts: (id) => database.query<StoredPart>(findParts, [id]),
    async findUnlocked(id) {
      const [row] = await database.query<UploadRow>(findUnlocked, [id])
      return row ? toUploadRecord(row) : null
    },
    async findWithParts(id) {
      const [row] = await database.query<UploadRow & { parts: StoredPart[] }>(findWithParts, [id])
      return row ? { upload: toUploadRecord(row), parts: row.parts } : null
    },
  }
}
