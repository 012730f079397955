import type { RunningEngine } from '../core/engine.ts'
import type { ObjectStore } from '../core/ports/object-store.ts'
import type { UploadRepository } from '../core/ports/uploads.ts'
import { idsWithTailObjects } from '../core/transitions/clean-up.ts'

// One page of an S3 listing.
const pageSize = 1000

/**
 * Cleans up ended uploads whose tail objects are still in the store although their rows need no clean-up: a node wrote an object while
 * it died, or the store stored one after it had answered with an error. It sends one listing request per thousand tail objects, and
 * leaves tail objects alone whose upload is not in our database. Returns how many uploads it cleaned up.
 */
export async function sweepOrphans(
  engine: RunningEngine,
  uploads: UploadRepository,
  store: ObjectStore,
): Promise<number> {
  let cleaned = 0
  for await (const id of endedWithTailObjects(uploads, store)) {
    await engine.cleanUp(id)
    cleaned += 1
  }
  return cleaned
}

/** The ids of ended uploads that still have tail objects in the store. */
export async function* endedWithTailObjects(uploads: UploadRepository, store: ObjectStore): AsyncGenerator<string> {
  let ids: string[] = []
  for await (const id of idsWithTailObjects(store)) {
    ids.push(id)
    if (ids.length < pageSize) continue
    yield* await uploads.findEnded(ids)
    ids = []
  }
  if (ids.length > 0) yield* await uploads.findEnded(ids)
}
