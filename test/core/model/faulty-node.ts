import { type ErrorCode, UploadError } from '../../../src/core/errors/error.ts'
import { createMemoryBudget } from '../../../src/core/memory/memory-budget.ts'
import { NoSuchUpload, type ObjectStore } from '../../../src/core/ports/object-store.ts'
import type { Database } from '../../../src/db/open.ts'
import type { Statement } from '../../../src/db/statement.ts'
import type { MemoryStore } from '../../support/memory-store.ts'
import { openEngine } from '../../support/open-engine.ts'
import type { Seeded } from '../../support/seeded.ts'

type Settings = Omit<NonNullable<Parameters<typeof openEngine>[0]>, 'database' | 'store' | 'isKilled' | 'budget'>

export interface FaultOptions extends Settings {
  random: Seeded
  store: MemoryStore
  database: Database
  /** The probability of a fault at each call to the store or the database. */
  rate: number
  /** Keys that the store has falsely reported as missing, once each. */
  falselyMissing: Set<string>
  /** Bytes; a small budget makes bodies spill. */
  memory: number
  isFaultFree(): boolean
}

export type Node = Awaited<ReturnType<typeof openFaultyNode>>

const mayBeReportedMissing = new Set(['uploadPart', 'completeMultipart', 'copyPart'])
/** Longer than a lease and a part lock: when a paused node continues, other nodes have taken over. */
const pauseMs = 450

/**
 * A node with a fault injector. A call to the store or the database may fail, may succeed and lose its answer, may be made twice (as a
 * client of S3 or Postgres does after a lost answer), may pause the whole node for longer than its leases last, or may kill the node.
 * A node that was paused does not die afterwards: the model could not tell what such a node leaves in the store.
 */
export async function openFaultyNode({
  random,
  store,
  database,
  rate,
  falselyMissing,
  memory,
  isFaultFree,
  ...settings
}: FaultOptions) {
  let isDead = false
  let hasPaused = false
  let paused: Promise<void> = Promise.resolve()
  let reportDeath = () => {}
  const died = new Promise<void>((resolve) => {
    reportDeath = resolve
  })
  const never = () => new Promise<never>(() => {})

  function nextFault(): 'none' | 'error' | 'pause' | 'death' | 'twice' {
    if (isFaultFree() || !random.chance(rate)) return 'none'
    return random.pick(['error', 'error', 'error', 'pause', 'death', 'twice', 'twice'])
  }

  /** Resolves with whether the call is to be made twice. */
  async function inject(code: ErrorCode): Promise<boolean> {
    if (isDead) return never()
    await paused
    if (isDead) return never()
    const fault = nextFault()
    if (fault === 'error') throw new UploadError(code, 'Injected.')
    if (fault === 'pause') {
      hasPaused = true
      paused = new Promise((resolve) => setTimeout(resolve, pauseMs))
      await paused
    }
    if (fault === 'death' && !hasPaused) {
      isDead = true
      reportDeath()
      return never()
    }
    return fault === 'twice'
  }

  /** Once for each key: after a second report, `lossConfirmMs` later, the engine must take the upload for lost. */
  function reportMissing(key: string): void {
    if (isDead || isFaultFree() || falselyMissing.has(key) || !random.chance(rate)) return
    falselyMissing.add(key)
    throw new NoSuchUpload('injected: the multipart upload is there')
  }

  async function withFaults<T>(code: ErrorCode, call: () => Promise<T>): Promise<T> {
    if (await inject(code)) await call().catch(() => {})
    const result = await call()
    await inject(code)
    return result
  }

  const faulty = new Proxy(store, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name)
      if (name === 'createMultipart') {
        const createMultipart: ObjectStore['createMultipart'] = async (key, metadata) => {
          if (await inject('STORE_UNAVAILABLE')) {
            await target.createMultipart(key, metadata)
            metadata.onAmbiguousCreate?.()
          }
          const multipartId = await target.createMultipart(key, metadata)
          await inject('STORE_UNAVAILABLE')
          return multipartId
        }
        return createMultipart
      }
      if (name === 'read' || name === 'list')
        return async function* (...args: unknown[]) {
          await inject('STORE_UNAVAILABLE')
          yield* (value as (...args: unknown[]) => AsyncIterable<unknown>).apply(target, args)
        }
      if (typeof value !== 'function') return value
      if (typeof name === 'string' && mayBeReportedMissing.has(name))
        return (...args: unknown[]) => {
          reportMissing(String(args[0]))
          return withFaults('STORE_UNAVAILABLE', async (): Promise<unknown> => value.apply(target, args))
        }
      return (...args: unknown[]) =>
        withFaults('STORE_UNAVAILABLE', async (): Promise<unknown> => value.apply(target, args))
    },
  })
  const query = <T>(statement: Statement, values: unknown[]) =>
    withFaults('DATABASE_ERROR', () => database.query<T>(statement, values))
  const budget = createMemoryBudget(memory)
  const { engine, locker, reportedErrors } = await openEngine({
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
    isKilled: true,
  })
  return { engine, budget, locker, reportedErrors, died, isDead: () => isDead, hasPaused: () => hasPaused }
}
