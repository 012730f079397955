import { UploadError } from '../../src/core/errors.ts'
import type { Database } from '../../src/db/open.ts'
import { type MemoryStore, unavailable } from './memory-store.ts'
import { type OpenEngine, openEngine, testDatabase } from './open-engine.ts'
import type { Seeded } from './seeded.ts'

type Overrides = NonNullable<Parameters<typeof openEngine>[0]>

export interface Weather extends Omit<Overrides, 'database' | 'store' | 'isMortal'> {
  random: Seeded
  store: MemoryStore
  /** How often a call fails, before it is done or after; of five failures one is the death of the node. */
  rate: number
  isCalm(): boolean
  /** Statements that may fail; the others do not before the node has died. */
  statements: RegExp
  /** Milliseconds that a call takes before anything can happen to it; not given: no time. */
  delay?(): number
}

/** A node of its own: once it has died, none of its calls is ever answered, the renewal of its leases included. */
export async function mortalNode(options: Weather): Promise<{ engine: OpenEngine['engine']; isDead(): boolean }> {
  const { random, store, rate, isCalm, statements, delay, ...engineOptions } = options
  const real = await testDatabase()
  let isDead = false
  const never = () => new Promise<never>(() => {})

  async function weather(failure: () => Error): Promise<void> {
    if (isDead) return never()
    if (delay) await new Promise((resolve) => setTimeout(resolve, delay()))
    if (isCalm() || !random.chance(rate)) return
    isDead = random.chance(0.2)
    return isDead ? never() : Promise.reject(failure())
  }
  const away = () => new UploadError('DATABASE_ERROR', 'away')
  const faulty = new Proxy(store, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name)
      if (typeof value !== 'function' || name === 'read' || name === 'list') return value
      return async (...args: unknown[]) => {
        await weather(unavailable)
        const result: unknown = await value.apply(target, args)
        await weather(unavailable)
        return result
      }
    },
  })
  const database: Database = {
    ...real,
    async query(statement, values) {
      if (isDead) return never()
      if (!statements.test(statement.name)) return real.query(statement, values)
      await weather(away)
      const rows = await real.query<never>(statement, values)
      await weather(away)
      return rows
    },
    async queryOnce(statement, values) {
      try {
        await weather(away)
        const rows = await real.queryOnce<never>(statement, values)
        await weather(away)
        return rows
      } catch {
        return undefined
      }
    },
  }
  const { engine } = await openEngine({
    ...engineOptions,
    database,
    store: faulty,
    leaseMs: 150,
    waitMs: 1500,
    bodyIdleMs: 300,
    finishWaitMs: 400,
    isMortal: true,
  })
  return { engine, isDead: () => isDead }
}
