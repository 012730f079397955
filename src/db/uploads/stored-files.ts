import type { ContentState } from '../../core/content.ts'
import type { UploadRepository } from '../../core/ports/uploads.ts'
import type { Database } from '../open.ts'
import { toUnmeasured, type UploadRow } from './row.ts'

const findFile = {
  name: 'file-find',
  text: `select s.*, n.content_id, n.name as node_name, n.link_epoch, n.trashed_at is not null as is_trashed,
      c.key as content_key, c.size as content_size, c.content_type as stored_type, c.sha256, c.created_at as content_created_at, c.state as content_state
    from upload_sessions s left join nodes n on n.id = s.id left join contents c on c.id = n.content_id
    where s.id = $1`,
}
const revokeLinks = {
  name: 'file-revoke-links',
  text: `update nodes set link_epoch = link_epoch + 1 where id = $1`,
}

interface FileRow extends UploadRow {
  content_id: string | null
  node_name: string
  link_epoch: number
  is_trashed: boolean
  content_key: string
  content_size: number
  stored_type: string
  sha256: Buffer | null
  content_created_at: Date
  content_state: ContentState
}

/** Reads files in `database`, and revokes their links. */
export function storedFiles(database: Database): Pick<UploadRepository, 'findFile' | 'revokeLinks'> {
  return {
    async findFile(id) {
      const [row] = await database.query<FileRow>(findFile, [id])
      return row ? { upload: toUnmeasured(row), file: toFile(row) } : null
    },
    async revokeLinks(id) {
      await database.query(revokeLinks, [id])
    },
  }
}

function toFile(row: FileRow) {
  if (row.content_id === null) return null
  return {
    id: row.id,
    contentId: row.content_id,
    name: row.node_name,
    key: row.content_key,
    size: row.content_size,
    contentType: row.stored_type,
    sha256: row.sha256,
    createdAt: row.content_created_at,
    state: row.content_state,
    isTrashed: row.is_trashed,
    linkEpoch: row.link_epoch,
  }
}
