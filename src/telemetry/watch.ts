/*
 * The world as core asks it, with a clock beside every call. What is asked, what comes back and what goes wrong stay as they are.
 */
import { isUploadError } from '../core/errors/error.ts'
import { isServersOwn } from '../core/pairing/marker.ts'
import {
  type Lease,
  type Locker,
  NoSuchKey,
  NoSuchUpload,
  ObjectExists,
  type ObjectStore,
  type UploadRepository,
} from '../core/ports.ts'
import { hasEnded } from '../core/upload.ts'
import type { Metrics } from './metrics.ts'
import type { Tracer } from './tracing.ts'

const privateFolder = '.landfall/tails/'

/** `store`, watched. */
export function watchStore(store: ObjectStore, metrics: Metrics, tracer: Tracer): ObjectStore {
  const timed =
    <Args extends unknown[], T>(call: string, work: (...args: Args) => Promise<T>) =>
    async (...args: Args): Promise<T> => {
      const startedAt = performance.now()
      try {
        return await tracer.step(`store ${call}`, objectKindOf(args[0]), () => work(...args))
      } catch (error) {
        metrics.storeErrors.inc({ call, code: codeOf(error) })
        throw error
      } finally {
        metrics.storeSeconds.observe({ call }, (performance.now() - startedAt) / 1000)
      }
    }

  const put = timed('put', async (...args: Parameters<ObjectStore['put']>) => {
    const info = await store.put(...args)
    metrics.stored.inc({ as: args[0].startsWith(privateFolder) ? 'tail' : 'object' }, info.size)
    return info
  })
  // The marker and what a readiness check writes are a call of their own: the figures of `put` are those of uploads.
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

/** Pieces lie in a folder that is named like their upload; everything else is told by its key. */
function objectKindOf(key: unknown): string | null {
  if (typeof key !== 'string') return null
  return key.startsWith(privateFolder) ? (key.slice(privateFolder.length).split('/')[0] ?? null) : key
}

function codeOf(error: unknown): string {
  if (isUploadError(error)) return error.code
  if (error instanceof NoSuchUpload || error instanceof ObjectExists || error instanceof NoSuchKey) return error.name
  return 'unknown'
}

/** Counts the uploads that `sessions` begin. */
export function watchUploads(uploads: UploadRepository, metrics: Metrics): UploadRepository {
  return {
    ...uploads,
    async insert(upload, ...more) {
      const repeated = await uploads.insert(upload, ...more)
      metrics.created.inc({ role: upload.role })
      return repeated
    },
  }
}

/** Counts the uploads that end under a lease of `locker`, and knows who holds which. */
export function watchLocker<L extends Locker>(locker: L, metrics: Metrics, tracer: Tracer): L {
  const watched = (lease: Lease, onKey: (key: string) => void): Lease => ({
    ...lease,
    // Of a lease these are more than values.
    get upload() {
      return lease.upload
    },
    get signal() {
      return lease.signal
    },
    async save(change) {
      await lease.save(change)
      if (change.key) onKey(change.key)
      if (change.state && hasEnded({ state: change.state }))
        metrics.ended.inc({ state: change.state, role: lease.upload.role })
    },
  })
  return {
    ...locker,
    withLock: (id, authorizeOwner, work) =>
      locker.withLock(id, authorizeOwner, async (lease) => {
        const held = tracer.withSpan([id, lease.upload.key])
        try {
          return await work(watched(lease, held.add))
        } finally {
          held.release()
        }
      }),
  }
}

interface Queries {
  query<T>(statement: { name: string; text: string }, values: unknown[]): Promise<T[]>
  queryOnce<T>(statement: { name: string; text: string }, values: unknown[]): Promise<T[] | undefined>
}

/** `database`, watched. Statements have names, and there are few of them. */
export function watchDatabase<D extends Queries>(database: D, metrics: Metrics, tracer: Tracer): D {
  async function timed<T>(statement: string, work: () => Promise<T>): Promise<T> {
    const startedAt = performance.now()
    metrics.queries.inc({ statement })
    try {
      const answer = await tracer.step(`database ${statement}`, null, work)
      // Nobody knows whether it ran.
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
    query: (statement, values) => timed(statement.name, () => database.query(statement, values)),
    queryOnce: (statement, values) => timed(statement.name, () => database.queryOnce(statement, values)),
  }
}
