import { randomUUID } from 'node:crypto'
import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import { onTestFinished } from 'vitest'
import { createEngine } from '../../src/core/create-engine.ts'
import type { RunningEngine } from '../../src/core/engine.ts'
import type { EngineOptions } from '../../src/core/engine-options.ts'
import { createMemoryBudget } from '../../src/core/memory/memory-budget.ts'
import { defaultKeyTemplate } from '../../src/core/object-key.ts'
import { defaultPolicies } from '../../src/core/policy/policy.ts'
import { creationRules } from '../../src/core/policy/rules/index.ts'
import type { Locker } from '../../src/core/ports/locks.ts'
import { type Actor, userOf } from '../../src/core/upload.ts'
import { type Database, openDatabase } from '../../src/db/open.ts'
import { uploadRepository } from '../../src/db/uploads.ts'
import { openLocker } from '../../src/locks/index.ts'
import { taken } from './arrival.ts'
import { onFileFinished } from './file-end.ts'
import { type MemoryStore, memoryStore } from './memory-store.ts'
import { type FreshDatabase, freshDatabase } from './postgres.ts'

let shared: Promise<FreshDatabase & { database: Database }> | undefined

/** The migrated database that all tests of a file share; uploads do not collide, because each has its own id. */
export async function testDatabase(): Promise<Database> {
  if (!shared) {
    shared = openTestDatabase()
    onFileFinished(closeTestDatabase)
  }
  return (await shared).database
}

async function closeTestDatabase(): Promise<void> {
  const opened = await shared?.catch(() => undefined)
  shared = undefined
  await opened?.database.close()
  await opened?.dispose()
}

async function openTestDatabase(): Promise<FreshDatabase & { database: Database }> {
  const fresh = await freshDatabase({ isMigrated: true })
  return {
    ...fresh,
    database: await openDatabase({ url: fresh.url, dataDir: '', pool: 5, timeoutMs: 60_000, onError: console.error }),
  }
}

export const ada: Actor = userOf('ada', 'creator')

export interface OpenEngine {
  engine: RunningEngine
  store: MemoryStore
  database: Database
  locker: Locker
  /** The errors that the engine and the locker reported. */
  reportedErrors: unknown[]
}

/** A real engine on a real database and a memory store with parts of 10 bytes. */
export async function openEngine(
  overrides: Partial<EngineOptions> & {
    leaseMs?: number
    waitMs?: number
    database?: Database
    isKilled?: boolean
  } = {},
): Promise<OpenEngine> {
  const database = overrides.database ?? (await testDatabase())
  const reportedErrors: unknown[] = []
  const onError = (error: unknown) => void reportedErrors.push(error)
  const locker = await openLocker({
    database,
    leaseMs: overrides.leaseMs ?? 10_000,
    waitMs: overrides.waitMs ?? 3000,
    onError,
  })
  const store = (overrides.store as MemoryStore | undefined) ?? memoryStore()
  const engine = createEngine({
    uploads: uploadRepository(database),
    store,
    locker,
    policies: () => defaultPolicies,
    rules: creationRules,
    budget: createMemoryBudget(64 * 1024 ** 2),
    keyTemplate: defaultKeyTemplate,
    partSize: 10,
    chunkSize: overrides.partSize ?? 10,
    partsInFlight: 4,
    bodyIdleMs: 2000,
    minSpeed: 0,
    bodyTotalMs: 0,
    finishWaitMs: 2000,
    lossConfirmMs: 0,
    deleteGraceMs: 0,
    newId: randomUUID,
    now: () => new Date(),
    onError,
    ...overrides,
  })
  // The engine of a node that dies cannot be drained at the end of the test.
  if (overrides.isKilled) return { engine, store, database, locker, reportedErrors }
  onTestFinished(async () => {
    await engine.drained()
    await locker.close()
  })
  return { engine, store, database, locker, reportedErrors }
}

/** A body that is complete after `bytes`. */
export function bodyOf(bytes: Buffer | Buffer[]): Readable {
  const body = openBody()
  for (const chunk of [bytes].flat()) if (chunk.length > 0) body.push(ownCopy(chunk))
  body.push(null)
  return body
}

/** A body that is aborted after `bytes`. */
export function brokenBody(bytes: Buffer): Readable {
  const body = openBody()
  body.push(ownCopy(bytes))
  // Only after the bytes were read, like a socket.
  void taken(body).then(() => body.destroy())
  return body
}

/** A body that stalls forever after `bytes`. */
export function hungBody(bytes: Buffer): Readable {
  const body = openBody()
  body.push(ownCopy(bytes))
  return body
}

/** A body like that of Node's server, whose chunks the reader may change and detach. */
function openBody(): Readable {
  const body = new IncomingMessage(new Socket())
  body._read = () => {}
  return body
}

function ownCopy(bytes: Buffer): Buffer {
  return Buffer.from(new Uint8Array(bytes).buffer)
}
