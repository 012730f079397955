import type { Owner } from '../../core/access/access.ts'
import { noUsage, type Usage } from '../../core/policy/quota.ts'
import type { UploadRepository } from '../../core/ports/uploads.ts'
import type { LeaseRows } from '../../db/uploads/lease.ts'
import { creator } from './create.ts'
import { files } from './files.ts'
import { leasesIn } from './lease.ts'
import { lostAnswers } from './lost-answers.ts'
import { partWrites } from './parts.ts'
import { reads } from './read.ts'
import { type MemoryEvent, noRows, usageOf } from './rows.ts'
import { saver } from './save.ts'
import { sweeps } from './sweep.ts'

/** Uploads in memory, as one process has them; `test/db/uploads/contract.test.ts` holds them to what the database does. */
export interface MemoryUploads extends UploadRepository {
  leases: LeaseRows
  /** The events of all uploads, the oldest first. */
  events: readonly MemoryEvent[]
  /** What a user takes of the quotas. */
  usageOf(owner: Owner): Usage
}

/** @param onEvent is called with every event, after the change that it reports */
export function memoryUploads(onEvent: (event: MemoryEvent) => void = () => {}): MemoryUploads {
  const rows = noRows(onEvent)
  return {
    ...creator(rows),
    ...saver(rows),
    ...reads(rows),
    ...partWrites(rows),
    ...lostAnswers(rows),
    ...sweeps(rows),
    ...files(rows),
    async setFingerprint(id, fingerprint) {
      const row = rows.uploads.get(id)
      if (row) row.record.fingerprint = fingerprint
    },
    leases: leasesIn(rows),
    events: rows.events,
    usageOf: (owner) => ({ ...(usageOf(rows, owner) ?? noUsage) }),
  }
}
