import type { Upload } from './upload.ts'

export type EventType = 'upload.created' | 'upload.completed' | 'upload.cancelled' | 'upload.expired' | 'upload.failed'

/** A fact told afterwards; it cannot refuse. */
export interface Event {
  type: EventType
  uploadId: string
  /** What a listener may know. */
  data: Record<string, string | number | boolean | null>
}

/** The event of `type` about `upload`; none for a partial one, which is no file. */
export function eventOf(type: EventType, upload: Upload): Event | undefined {
  if (upload.concat?.kind === 'partial') return undefined
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
