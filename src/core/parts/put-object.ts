import { randomUUID } from 'node:crypto'
import { otherKey } from '../object-key.ts'
import { objectMetadataOf } from '../pairing/origin.ts'
import { type Bytes, type Lease, ObjectExists, type ObjectInfo, type ObjectStore } from '../ports.ts'

/**
 * Writes the whole file as one object. Other bytes at its key stay where they are, and this file gets another key: they may be a
 * file that a database of yesterday does not know to be complete.
 */
export async function putObject(lease: Lease, bytes: Bytes, store: ObjectStore): Promise<ObjectInfo> {
  const { upload } = lease
  const about = { ...objectMetadataOf(upload), isNew: true }
  await lease.confirm()
  try {
    return await store.put(upload.key, bytes, about).catch(async (error: unknown) => {
      if (!(error instanceof ObjectExists)) throw error
      await lease.save({ key: otherKey(upload.key, randomUUID().slice(0, 8)) })
      await lease.confirm()
      return store.put(upload.key, bytes, about)
    })
  } catch (error) {
    // It may lie there all the same.
    lease.expectOrphan()
    throw error
  }
}
