import type { Upload } from './upload.ts'

export type EventType =
  | 'upload.created'
  | 'upload.completed'
  | 'upload.cancelled'
  | 'upload.expired'
  | 'upload.failed'
  /** Every check has passed: readers may have it. Only of files that were held. */
  | 'file.available'
  /** A check refused it. */
  | 'file.quarantined'

/** A change of an upload that is saved already. */
export interface Event {
  type: EventType
  uploadId: string
  /** Facts that every subscriber may know. */
  data: Record<string, string | number | boolean | null>
}

/** The event of `type` about `upload`; none for a partial upload, which is no file of its own. */
export function eventOf(type: EventType, upload: Upload): Event | undefined {
  if (upload.isPartial) return undefined
  return {
    type,
    uploadId: upload.id,
    data: {
      ownerId: upload.ownerId,
      tenant: upload.tenant,
      role: upload.role,
      key: upload.key,
      filename: upload.filename,
      contentType: upload.contentType,
      category: upload.category,
      size: upload.size,
      failure: upload.failure,
    },
  }
}
