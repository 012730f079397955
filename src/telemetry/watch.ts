/*
 * Wrappers of core's ports that measure, count and trace every call. Arguments, results and errors pass through unchanged.
 */
import { isUploadError } from '../core/errors/error.ts'
import { isServersOwn } from '../core/pairing/marker.ts'
import type { Lock, LockedUpload, Locker } from '../core/ports/locks.ts'
import { NoSuchKey, NoSuchUpload, ObjectExists, type ObjectStore } from '../core/ports/object-store.ts'
import type { UploadRepository } from '../core/ports/uploads.ts'
import { allTails, uploadIdOfTail } from '../core/tail-keys.ts'
import { hasEnded } from '../core/upload.ts'
import type { Metrics } from './metrics.ts'
import type { Tracer } from './tracing.ts'

/** Measures the calls of `store` and counts the bytes it stores. */
export function watchStore(store: ObjectStore, metrics: Metrics, tracer: Tracer): ObjectStore {
  const timed =
    <Args extends unknown[], T>(call: string, work: (...args: Args) => Promise<T>) =>
    async (...args: Args): Promise<T> => {
      const startedAt = performance.now()
      try {
        return await tracer.step(`store ${call}`, resourceOf(args[0]), () => work(...args))
      } catch (error) {
        metrics.storeErrors.inc({ call, code: codeOf(error) })
        throw error
      } finally {
        metrics.storeSeconds.observe({ call }, (performance.now() - startedAt) / 1000)
      }
    }

  const put = timed('put', async (...args: Parameters<ObjectStore['put']>) => {
    const info = await store.put(...args)
    metrics.stored.inc({ as: args[0].startsWith(allTails) ? 'tail' : 'object' }, info.size)
    return info
  })
  // The pairing marker and the object of the readiness check count as a call of their own, so that `put` only counts uploads.
  const putOwn = timed('putOwn', (...args: Parameters<ObjectStore['put']>) => store.put(...args))

  return {
    ...store,
    check: timed('check', () => store.check()),
    createMultipart: timed('createMultipart', (...args) => store.createMultipart(...args)),
    uploadPart: timed('uploadPart', async (...args) => {
      const part = await store.uploadPart(...args)
      metrics.stored.inc({ as: 'part' }, part.size)
      return part
    }),
    copyPart: timed('copyPart', (...args) => store.copyPart(...args)),
    completeMultipart: timed('completeMultipart', (...args) => store.completeMultipart(...args)),
    abortMultipart: timed('abortMultipart', (...args) => store.abortMultipart(...args)),
    put: (...args) => (isServersOwn(args[0]) ? putOwn(...args) : put(...args)),
    stat: timed('stat', (...args) => store.stat(...args)),
    remove: timed('remove', (...args) => store.remove(...args)),
  }
}

/** The upload's id for a tail object, from its folder; otherwise the object key. See `Tracer.step`. */
function resourceOf(key: unknown): string | null {
  if (typeof key !== 'string') return null
  return key.startsWith(allTails) ? uploadIdOfTail(key) : key
}

function codeOf(error: unknown): string {
  if (isUploadError(error)) return error.code
  if (error instanceof NoSuchUpload || error instanceof ObjectExists || error instanceof NoSuchKey) return error.name
  return 'unknown'
}

/** Counts the uploads that are created and that end in `uploads`, and tells the tracer which object key a request gives its upload. */
export function watchUploads(uploads: UploadRepository, metrics: Metrics, tracer: Tracer): UploadRepository {
  return {
    ...uploads,
    async insert(upload, ...more) {
      const inserted = await uploads.insert(upload, ...more)
      metrics.created.inc({ role: upload.role })
      return inserted
    },
    async save(upload, fence, patch) {
      const isSaved = await uploads.save(upload, fence, patch)
      if (!isSaved) return false
      if (patch.key) tracer.addToSpan(upload.id, patch.key)
      if (patch.state && hasEnded({ state: patch.state })) metrics.ended.inc({ state: patch.state, role: upload.role })
      return true
    },
  }
}

/** Tells the tracer which request holds the lock of which upload. */
export function watchLocker(locker: Locker, tracer: Tracer): Locker {
  const inSpan =
    <T>(work: (lock: Lock, locked: LockedUpload) => Promise<T>) =>
    async (lock: Lock, locked: LockedUpload): Promise<T> => {
      const span = tracer.withSpan([locked.upload.id, locked.upload.key])
      try {
        return await work(lock, locked)
      } finally {
        span.release()
      }
    }
  return {
    ...locker,
    withLock: (id, check, work) => locker.withLock(id, check, inSpan(work)),
    withNewLock: (id, insert, work) => locker.withNewLock(id, insert, inSpan(work)),
  }
}

interface Queries {
  query<T>(statement: { name: string; text: string }, values: unknown[], group?: string): Promise<T[]>
  queryOnce<T>(statement: { name: string; text: string }, values: unknown[], group?: string): Promise<T[] | undefined>
}

/** Measures the statements of `database` and counts them by name; there are few names. */
export function watchDatabase<D extends Queries>(database: D, metrics: Metrics, tracer: Tracer): D {
  async function timed<T>(statement: string, work: () => Promise<T>): Promise<T> {
    const startedAt = performance.now()
    metrics.queries.inc({ statement })
    try {
      const answer = await tracer.step(`database ${statement}`, null, work)
      // `queryOnce` lost the answer.
      if (answer === undefined) metrics.queryErrors.inc({ statement })
      return answer
    } catch (error) {
      metrics.queryErrors.inc({ statement })
      throw error
    } finally {
      metrics.querySeconds.observe((performance.now() - startedAt) / 1000)
    }
  }

  return {
    ...database,
    query: (statement, ...more) => timed(statement.name, () => database.query(statement, ...more)),
    queryOnce: (statement, ...more) => timed(statement.name, () => database.queryOnce(statement, ...more)),
  }
}
