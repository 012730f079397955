import { servedTypeOf } from '../content/served-type.ts'
import { type Bytes, type Lease, ObjectExists, type ObjectFacts, type ObjectStore } from '../ports.ts'

/** Writes the whole file as one object. What may be there under its key was never acknowledged, and gives way. */
export async function putWhole(lease: Lease, bytes: Bytes, store: ObjectStore): Promise<ObjectFacts> {
  const { session } = lease
  const about = { ...servedTypeOf(session), isNew: true }
  await lease.confirm()
  try {
    return await store.put(session.key, bytes, about).catch(async (error: unknown) => {
      if (!(error instanceof ObjectExists)) throw error
      await lease.confirm()
      await store.remove([session.key])
      return store.put(session.key, bytes, about)
    })
  } catch (error) {
    // It may lie there all the same.
    lease.suspect()
    throw error
  }
}
