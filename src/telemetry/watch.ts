/*
 * The world as core asks it, with a clock beside every call. What is asked, what comes back and what goes wrong stay as they are.
 */
import { isRefusal } from '../core/errors.ts'
import {
  HandleLost,
  type Lease,
  type Locker,
  ObjectExists,
  ObjectMissing,
  type ObjectStore,
  type Sessions,
} from '../core/ports.ts'
import { hasEnded } from '../core/upload.ts'
import type { Metrics } from './metrics.ts'

const privateFolder = '.landfall/pieces/'

/** `store`, watched. */
export function watchStore(store: ObjectStore, metrics: Metrics): ObjectStore {
  const timed =
    <Args extends unknown[], T>(call: string, work: (...args: Args) => Promise<T>) =>
    async (...args: Args): Promise<T> => {
      const startedAt = performance.now()
      try {
        return await work(...args)
      } catch (error) {
        metrics.storeErrors.inc({ call, code: codeOf(error) })
        throw error
      } finally {
        metrics.storeSeconds.observe({ call }, (performance.now() - startedAt) / 1000)
      }
    }

  return {
    ...store,
    check: timed('check', () => store.check()),
    begin: timed('begin', (...args) => store.begin(...args)),
    writePart: timed('writePart', async (...args) => {
      const part = await store.writePart(...args)
      metrics.stored.inc({ as: 'part' }, part.size)
      return part
    }),
    copyPart: timed('copyPart', (...args) => store.copyPart(...args)),
    finish: timed('finish', (...args) => store.finish(...args)),
    abort: timed('abort', (...args) => store.abort(...args)),
    put: timed('put', async (...args) => {
      const facts = await store.put(...args)
      metrics.stored.inc({ as: args[0].startsWith(privateFolder) ? 'piece' : 'object' }, facts.size)
      return facts
    }),
    stat: timed('stat', (...args) => store.stat(...args)),
    remove: timed('remove', (...args) => store.remove(...args)),
  }
}

function codeOf(error: unknown): string {
  if (isRefusal(error)) return error.code
  if (error instanceof HandleLost || error instanceof ObjectExists || error instanceof ObjectMissing) return error.name
  return 'unknown'
}

/** Counts the uploads that `sessions` begin. */
export function watchSessions(sessions: Sessions, metrics: Metrics): Sessions {
  return {
    ...sessions,
    async insert(session, event) {
      await sessions.insert(session, event)
      metrics.created.inc({ role: session.role })
    },
  }
}

/** Counts the uploads that end under a lease of `locker`. */
export function watchLocker<L extends Locker>(locker: L, metrics: Metrics): L {
  const watched = (lease: Lease): Lease => ({
    ...lease,
    // Of a lease these are more than values.
    get session() {
      return lease.session
    },
    get signal() {
      return lease.signal
    },
    async save(change) {
      await lease.save(change)
      if (change.state && hasEnded({ state: change.state }))
        metrics.ended.inc({ state: change.state, role: lease.session.role })
    },
  })
  return { ...locker, hold: (id, admit, work) => locker.hold(id, admit, (lease) => work(watched(lease))) }
}

interface Queries {
  query<T>(statement: { name: string; text: string }, values: unknown[]): Promise<T[]>
  queryOnce<T>(statement: { name: string; text: string }, values: unknown[]): Promise<T[] | undefined>
}

/** `database`, watched. Statements have names, and there are few of them. */
export function watchDatabase<D extends Queries>(database: D, metrics: Metrics): D {
  async function timed<T>(statement: string, work: () => Promise<T>): Promise<T> {
    const startedAt = performance.now()
    metrics.queries.inc({ statement })
    try {
      const answer = await work()
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
