import type { UploadRepository } from '../../core/ports/uploads.ts'
import type { StoredFile } from '../../core/stored-file.ts'
import { type Row, type Rows, unmeasured } from './rows.ts'

/** Reads files, and revokes their links. */
export function files(rows: Rows): Pick<UploadRepository, 'findFile' | 'revokeLinks'> {
  return {
    async findFile(id) {
      const row = rows.uploads.get(id)
      return row ? { upload: unmeasured(row), file: toFile(row) } : null
    },
    async revokeLinks(id) {
      const row = rows.uploads.get(id)
      if (row?.file) row.file.linkEpoch += 1
    },
  }
}

function toFile({ record, file }: Row): StoredFile | null {
  if (!file) return null
  const sha256 = record.digests?.actual['sha-256']
  return {
    ...file,
    id: record.id,
    contentId: record.id,
    name: record.filename,
    key: record.key,
    size: record.size!,
    contentType: record.contentType,
    sha256: sha256 === undefined ? null : Buffer.from(sha256, 'base64'),
    createdAt: record.completedAt!,
    isTrashed: record.state !== 'completed',
  }
}
