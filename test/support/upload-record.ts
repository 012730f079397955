import { randomUUID } from 'node:crypto'
import { initialFields, type UploadRecord } from '../../src/core/upload.ts'

/** A new upload of 100 bytes in parts of 10, as `create` writes it, with `more`. */
export function uploadRecord(more: Partial<UploadRecord> = {}): UploadRecord {
  const id = randomUUID()
  const now = new Date()
  return {
    ...initialFields(),
    kind: 'sequential',
    isPartial: false,
    id,
    ownerId: 'ada',
    tenant: null,
    fingerprint: null,
    agent: null,
    role: 'creator',
    key: id,
    filename: 'a',
    contentType: 'text/plain',
    category: 'other',
    metadata: null,
    size: 100,
    partSize: 10,
    digests: null,
    createdAt: now,
    updatedAt: now,
    expiresAt: null,
    maxSize: 1000,
    timeToLiveMs: null,
    ...(more as Partial<UploadRecord & { kind: 'sequential' | 'parted' }>),
  }
}
