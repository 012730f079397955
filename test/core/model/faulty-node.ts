import { type ErrorCode, UploadError } from '../../../src/core/errors/error.ts'
import { createMemoryBudget } from '../../../src/core/memory/memory-budget.ts'
import { NoSuchUpload, type ObjectStore } from '../../../src/core/ports.ts'
import type { Database, Statement } from '../../../src/db/open.ts'
import type { MemoryStore } from '../../support/memory-store.ts'
import { openEngine } from '../../support/open-engine.ts'
import type { Seeded } from '../../support/seeded.ts'

type Settings = Omit<NonNullable<Parameters<typeof openEngine>[0]>, 'database' | 'store' | 'isMortal' | 'budget'>

export interface FaultOptions extends Settings {
  random: Seeded
  store: MemoryStore
  database: Database
  /** How often something happens to a call to the store or the database. */
  rate: number
  /** Keys of which the store has said once that they are not there, though they were. */
  lies: Set<string>
  /** Bytes; a small one makes bodies spill. */
  memory: number
  isCalm(): boolean
}

export type Node = Awaited<ReturnType<typeof openFaultyNode>>

const mayLie = new Set(['uploadPart', 'completeMultipart', 'copyPart'])
/** Longer than a lease and a claim: whoever is held up for so long wakes when others have gone on. */
const pauseMs = 450

/**
 * A node of its own. Any of its calls to the store and the database may be refused, be done and its answer lost, be done twice (what
 * a client of S3 or Postgres does after a lost answer), hold up the whole node for longer than its leases hold, or be the last
 * thing it ever did. A node that was held up does not die afterwards: of both together nobody can know what it left.
 */
export async function openFaultyNode({
  random,
  store,
  database,
  rate,
  lies,
  memory,
  isCalm,
  ...settings
}: FaultOptions) {
  let isDead = false
  let hasPaused = false
  let paused: Promise<void> = Promise.resolve()
  let tellDeath = () => {}
  const died = new Promise<void>((resolve) => {
    tellDeath = resolve
  })
  const never = () => new Promise<never>(() => {})

  function chance(): 'nothing' | 'refused' | 'paused' | 'died' | 'twice' {
    if (isCalm() || !random.chance(rate)) return 'nothing'
    return random.pick(['refused', 'refused', 'refused', 'paused', 'died', 'twice', 'twice'])
  }

  /** True: the call is to be made twice. */
  async function inject(code: ErrorCode): Promise<boolean> {
    if (isDead) return never()
    await paused
    if (isDead) return never()
    const what = chance()
    if (what === 'refused') throw new UploadError(code, 'Away.')
    if (what === 'paused') {
      hasPaused = true
      paused = new Promise((resolve) => setTimeout(resolve, pauseMs))
      await paused
    }
    if (what === 'died' && !hasPaused) {
      isDead = true
      tellDeath()
      return never()
    }
    return what === 'twice'
  }

  /** Once about an upload: a second time after a pause it would have to be believed. */
  function lie(key: string): void {
    if (isDead || isCalm() || lies.has(key) || !random.chance(rate)) return
    lies.add(key)
    throw new NoSuchUpload('this is not true')
  }

  async function through<T>(code: ErrorCode, call: () => Promise<T>): Promise<T> {
    if (await inject(code)) await call().catch(() => {})
    const result = await call()
    await inject(code)
    return result
  }

  const faulty = new Proxy(store, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name)
      if (name === 'createMultipart') {
        const begin: ObjectStore['createMultipart'] = async (key, metadata) => {
          if (await inject('STORE_UNAVAILABLE')) {
            await target.createMultipart(key, metadata)
            metadata.onDoubt?.()
          }
          const handle = await target.createMultipart(key, metadata)
          await inject('STORE_UNAVAILABLE')
          return handle
        }
        return begin
      }
      if (name === 'read' || name === 'list')
        return async function* (...args: unknown[]) {
          await inject('STORE_UNAVAILABLE')
          yield* (value as (...args: unknown[]) => AsyncIterable<unknown>).apply(target, args)
        }
      if (typeof value !== 'function') return value
      if (typeof name === 'string' && mayLie.has(name))
        return (...args: unknown[]) => {
          lie(String(args[0]))
          return through('STORE_UNAVAILABLE', async (): Promise<unknown> => value.apply(target, args))
        }
      return (...args: unknown[]) =>
        through('STORE_UNAVAILABLE', async (): Promise<unknown> => value.apply(target, args))
    },
  })
  const query = <T>(statement: Statement, values: unknown[]) =>
    through('DATABASE_ERROR', () => database.query<T>(statement, values))
  const budget = createMemoryBudget(memory)
  const { engine, locker, faults } = await openEngine({
    ...settings,
    database: {
      ...database,
      query,
      queryOnce: <T>(statement: Statement, values: unknown[]) => query<T>(statement, values).catch(() => undefined),
    },
    store: faulty,
    budget,
    leaseMs: 250,
    waitMs: 1200,
    partLockMs: 300,
    bodyIdleMs: 300,
    finishWaitMs: 400,
    isMortal: true,
  })
  return { engine, budget, locker, faults, died, isDead: () => isDead, hasPaused: () => hasPaused }
}
