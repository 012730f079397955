import { isUploadError, NotReady, type UploadError } from '../../core/errors/error.ts'
import { probeKey } from '../../core/pairing/marker.ts'
import type { ObjectStore } from '../../core/ports/object-store.ts'

const probeEveryMs = 10_000

/** Whether the store takes an upload now, for readiness. */
export interface StoreProbe {
  /** Writes a small object and looks it up, unless it did so in the last seconds. @throws NotReady; UploadError of the store */
  run(): Promise<void>
  /** Makes the next run write again: a write of an upload has failed. */
  expire(): void
}

/** A probe of `store`. */
export function probeOf(store: ObjectStore): StoreProbe {
  let probedAt = Number.NEGATIVE_INFINITY
  return {
    async run() {
      if (performance.now() - probedAt < probeEveryMs) return
      const bytes = Buffer.from(`${new Date().toISOString()}\n`)
      const startedAt = performance.now()
      await store.put(probeKey, { size: bytes.length, chunks: () => [bytes] }, { contentType: 'text/plain' })
      // The check of a completed upload uses the same call.
      if ((await store.stat(probeKey)) === null)
        throw new NotReady('the store does not find what was just written to it')
      probedAt = startedAt
    },
    expire() {
      probedAt = Number.NEGATIVE_INFINITY
    },
  }
}

/** Runs `work`; errors of the store become NotReady with a reason that contains no names. @throws NotReady */
export async function asNotReady(work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (!isUploadError(error, 'STORE_UNAVAILABLE', 'R2_ERROR')) throw error
    throw new NotReady(`the store cannot be used: ${reasonOf(error)}`, { cause: error })
  }
}

function reasonOf({ facts, message }: UploadError): string {
  const { operation, storeStatus, storeCode, code } = facts
  if (storeStatus === 0) return `${operation} got no response (${storeCode})`
  if (storeStatus !== undefined) return `${operation} was answered with ${storeStatus} ${storeCode}`
  return code === undefined ? message : `the file system returned ${code}`
}
