import type { RunningEngine } from '../core/engine.ts'
import type { ObjectStore, UploadRepository } from '../core/ports.ts'
import { idsWithTailObjects } from '../core/transitions/clean-up.ts'

// As many as S3 tells in one answer.
const atOnce = 1000

/**
 * Frees the pieces of uploads that have ended and whose sessions know of nothing that was left: of what a node wrote while it
 * died, or a store after it had said that it could not, nobody is told. It asks the store once for every thousand pieces there
 * are, and touches none whose upload is not in our own sessions. Returns how many uploads it freed of some.
 */
export async function sweepOrphans(
  engine: RunningEngine,
  uploads: UploadRepository,
  store: ObjectStore,
): Promise<number> {
  let freed = 0
  for await (const id of endedWithTailObjects(uploads, store)) {
    await engine.cleanUp(id)
    freed += 1
  }
  return freed
}

/** Ids of uploads that have ended and of which pieces lie in the store. */
export async function* endedWithTailObjects(uploads: UploadRepository, store: ObjectStore): AsyncGenerator<string> {
  let ids: string[] = []
  for await (const id of idsWithTailObjects(store)) {
    ids.push(id)
    if (ids.length < atOnce) continue
    yield* await uploads.findEnded(ids)
    ids = []
  }
  if (ids.length > 0) yield* await uploads.findEnded(ids)
}
