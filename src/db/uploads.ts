import type { UploadRepository } from '../core/ports/uploads.ts'
import type { Database } from './open.ts'
import { uploadCreator } from './uploads/create.ts'
import { lostAnswers } from './uploads/lost-answers.ts'
import { partWrites } from './uploads/parts.ts'
import { uploadReads } from './uploads/read.ts'
import { uploadSaver } from './uploads/save.ts'
import { storedFiles } from './uploads/stored-files.ts'
import { sweeps } from './uploads/sweep.ts'
import { shrinkReservation } from './usage.ts'

const setFingerprint = {
  name: 'upload-set-fingerprint',
  text: `update upload_sessions set fingerprint = $2 where id = $1`,
}

/** The uploads in `database`. */
export function uploadRepository(database: Database): UploadRepository {
  return {
    insert: uploadCreator(database),
    save: uploadSaver(database),
    ...uploadReads(database),
    ...partWrites(database),
    ...lostAnswers(database),
    ...sweeps(database),
    ...storedFiles(database),
    async setFingerprint(id, fingerprint) {
      await database.query(setFingerprint, [id, fingerprint])
    },
    shrinkReservation: (id) => shrinkReservation(database, id),
  }
}
