import type { AddressInfo } from 'node:net'
import { inspect } from 'node:util'
import { buildApp } from '../../src/app/app.ts'
import { loadConfig } from '../../src/config.ts'
import type { RunningEngine } from '../../src/core/engine.ts'
import type { UploadRepository } from '../../src/core/ports/uploads.ts'
import { type Database, openDatabase } from '../../src/db/open.ts'
import { uploadRepository } from '../../src/db/uploads.ts'
import { signToken } from '../../src/http/identity/secret.ts'
import { freshDatabase } from '../../test/support/postgres.ts'
import { type OpenStore, openStoreOf, type StoreKind } from '../../test/support/store-kinds.ts'

/** A server in this process, and direct access to its engine, database and store. */
export interface Environment {
  port: number
  url: string
  engine: RunningEngine
  uploads: UploadRepository
  database: Database
  store: OpenStore
  /** The size of parts of a small file. */
  part: number
  tokens: Record<string, string>
  /** Errors that were logged outside of requests. */
  faults: string[]
  /** How many connections are open. */
  connections(): Promise<number>
  close(): Promise<void>
}

const secret = 'a secret that is long enough for HS256'

/** Starts the server with a store of `kind` and a new database. */
export async function openEnvironment(kind: StoreKind): Promise<Environment> {
  const store = await openStoreOf(kind)
  const faults: string[] = []
  const note = (error: unknown) => void faults.push(inspect(error, { depth: 4 }))
  const fresh = await freshDatabase()
  const database = await openDatabase({ url: fresh.url, dataDir: '', pool: 8, timeoutMs: 5000, onError: note })
  const config = loadConfig({
    LOG_LEVEL: 'silent',
    NODE_ENV: 'production',
    DATABASE_URL: 'postgres://elsewhere/landfall',
    JWT_SECRET: secret,
    DATA_DIR: '/nowhere',
    // Deletion and the confirmation of a loss happen at once: what remains in the store then is an orphan.
    DELETE_GRACE: '0s',
    LOSS_CONFIRM: '0s',
    PART_SIZE: '64KiB',
    CHUNK_SIZE: '64KiB',
    MEMORY_BUDGET: '8MiB',
    // Short, so that requests that hang end soon.
    BODY_IDLE_TIMEOUT: '300ms',
    LOCK_WAIT: '5s',
    FINISH_WAIT: '10s',
    // All requests come from one address, faster than any client sends.
    REQUESTS_PER_ADDRESS: '0',
    CREATIONS_PER_ADDRESS: '0',
  })
  // The memory store has no smallest part: a few bytes are enough for several.
  const part = kind === 'memory' ? 10 : Math.max(64 * 1024, store.limits.minPartSize)
  const app = await buildApp({ ...config, PART_SIZE: part, CHUNK_SIZE: part }, { store, database })
  app.http.log.error = (first: unknown, ...rest: unknown[]) =>
    note(rest.length > 0 && first instanceof Object ? { ...first, details: rest } : first)
  await app.http.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.http.server.address() as AddressInfo
  const sign = (id: string, role: string) => signToken(secret, { id, role }, 24 * 3600)
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    engine: app.engine,
    uploads: uploadRepository(database),
    database,
    store,
    part,
    tokens: {
      ada: await sign('ada', 'creator'),
      eve: await sign('eve', 'creator'),
      sue: await sign('sue', 'subscriber'),
      ned: await sign('ned', 'nobody'),
      amy: await signToken(secret, { id: 'amy', role: 'creator', isAdmin: true }, 24 * 3600),
      old: await signToken(secret, { id: 'ada', role: 'creator' }, -10),
    },
    faults,
    connections: () =>
      new Promise((resolve, reject) => {
        // Idle keep-alive connections of well-behaved clients are not a leak.
        app.http.server.closeIdleConnections()
        app.http.server.getConnections((error, count) => (error ? reject(error) : resolve(count)))
      }),
    async close() {
      await app.stop()
      await database.close()
      await fresh.dispose()
      await store.dispose()
    },
  }
}
