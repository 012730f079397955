import { randomUUID } from 'node:crypto'
import type { Lease } from '../lease.ts'
import { otherKey } from '../object-key.ts'
import { objectMetadataOf } from '../pairing/origin.ts'
import { type Bytes, ObjectExists, type ObjectStore, type WrittenObject } from '../ports/object-store.ts'

/**
 * Writes the whole file as one object. Other bytes at its key are not replaced, and this file gets another key: they may be a completed
 * file that a database restored from a backup does not know.
 */
export async function putObject(lease: Lease, bytes: Bytes, store: ObjectStore): Promise<WrittenObject> {
  const { upload } = lease
  const metadata = { ...objectMetadataOf(upload), isNew: true }
  const put = () => lease.ledger.writing(upload.key, () => store.put(upload.key, bytes, metadata))
  await lease.confirm()
  try {
    return await put()
  } catch (error) {
    if (!(error instanceof ObjectExists)) throw error
  }
  await lease.save({ key: otherKey(upload.key, randomUUID().slice(0, 8)) })
  await lease.confirm()
  return put()
}
