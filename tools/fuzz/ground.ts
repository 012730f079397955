import type { AddressInfo } from 'node:net'
import { inspect } from 'node:util'
import { buildApp } from '../../src/app.ts'
import { loadConfig } from '../../src/config.ts'
import type { RunningEngine } from '../../src/core/engine.ts'
import type { UploadRepository } from '../../src/core/ports.ts'
import { type Database, openDatabase } from '../../src/db/open.ts'
import { uploadRepository } from '../../src/db/uploads.ts'
import { signToken } from '../../src/http/identity/secret.ts'
import { freshDatabase } from '../../test/support/postgres.ts'
import { type OpenStore, openStoreOf, type StoreKind } from '../../test/support/store-kinds.ts'

/** A whole server in this process, and the way around it by which the truth is looked up. */
export interface Ground {
  port: number
  url: string
  engine: RunningEngine
  sessions: UploadRepository
  database: Database
  store: OpenStore
  /** The size of parts of a small file. */
  part: number
  tokens: Record<string, string>
  /** What went wrong where nobody waited for an answer. */
  faults: string[]
  /** Connections that are open. */
  connections(): Promise<number>
  close(): Promise<void>
}

const secret = 'a secret that is long enough for HS256'

/** Opens it: files in a store of `kind`; sessions in a database of their own. */
export async function openGround(kind: StoreKind): Promise<Ground> {
  const store = await openStoreOf(kind)
  const faults: string[] = []
  const note = (fault: unknown) => void faults.push(inspect(fault, { depth: 4 }))
  const fresh = await freshDatabase()
  const database = await openDatabase({ url: fresh.url, dataDir: '', pool: 8, timeoutMs: 5000, onError: note })
  const config = loadConfig({
    LOG_LEVEL: 'silent',
    NODE_ENV: 'production',
    DATABASE_URL: 'postgres://elsewhere/landfall',
    JWT_SECRET: secret,
    DATA_DIR: '/nowhere',
    // What is deleted or lost is gone at once: what is left then is left for good.
    DELETE_GRACE: '0s',
    LOSS_CONFIRM: '0s',
    PART_SIZE: '64KiB',
    CHUNK_SIZE: '64KiB',
    MEMORY_BUDGET: '8MiB',
    // Short, so that what hangs is given up soon.
    BODY_IDLE_TIMEOUT: '300ms',
    LOCK_WAIT: '5s',
    FINISH_WAIT: '10s',
    // Everything comes from one address, and faster than anybody's.
    REQUESTS_PER_ADDRESS: '0',
    CREATIONS_PER_ADDRESS: '0',
  })
  // In memory parts can be so small that a few bytes are many.
  const part = kind === 'memory' ? 10 : Math.max(64 * 1024, store.limits.minPartSize)
  const app = await buildApp({ ...config, PART_SIZE: part, CHUNK_SIZE: part }, { store, database })
  app.http.log.error = (first: unknown, ...rest: unknown[]) =>
    note(rest.length > 0 && first instanceof Object ? { ...first, said: rest } : first)
  await app.http.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.http.server.address() as AddressInfo
  const sign = (id: string, role: string) => signToken(secret, { id, role }, 24 * 3600)
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    engine: app.engine,
    sessions: uploadRepository(database),
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
        // Those that good clients keep for later are no leak.
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
