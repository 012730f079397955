import type { Lease } from '../lease.ts'
import type { ObjectStore } from '../ports/object-store.ts'
import type { TailWriter } from './part-buffer.ts'

/** Writes the tail objects of a lease holder, which are in its ledger until a save names them. */
export function leasedTails(lease: Lease, store: ObjectStore, nextTailKey: () => string): TailWriter {
  const { ledger } = lease
  return {
    async write(bytes) {
      const key = nextTailKey()
      await lease.confirm()
      await ledger.writing(key, () => store.put(key, bytes, { contentType: 'application/octet-stream' }))
      return { key, size: bytes.size }
    },
    drop: (keys) => ledger.drop(keys),
  }
}
