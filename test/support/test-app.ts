import { onTestFinished } from 'vitest'
import { type App, buildApp, type Overrides } from '../../src/app/app.ts'
import { loadConfig } from '../../src/config.ts'
import { writeMarker } from '../../src/core/pairing/marker.ts'
import type { ObjectStore } from '../../src/core/ports/object-store.ts'
import type { Database } from '../../src/db/open.ts'
import { pairingsIn } from '../../src/db/pairing.ts'
import { signToken } from '../../src/http/identity/secret.ts'
import { type MemoryStore, memoryStore } from './memory-store.ts'
import { ada, testDatabase } from './open-engine.ts'

/** The secret with which tokens are signed. */
export const secret = 'a secret that is long enough for HS256'

export interface TestApp<Store extends ObjectStore = MemoryStore> extends App {
  store: Store
  /** The headers of a request of `actor`. Default: ada. */
  as: (actor?: Parameters<typeof signToken>[1]) => Promise<{ authorization: string }>
}

/** The whole app over a database of its own and a store in memory; closes with the test. */
export function testApp(env: Record<string, string> = {}, overrides: Overrides = {}): Promise<TestApp> {
  return testAppOver(memoryStore(), env, overrides)
}

/** As `testApp`, over a store that the caller closes. */
export async function testAppOver<Store extends ObjectStore>(
  store: Store,
  env: Record<string, string> = {},
  overrides: Overrides = {},
): Promise<TestApp<Store>> {
  let time = Date.now()
  const config = loadConfig({
    NODE_ENV: 'production',
    API_DOCS: 'true',
    DATABASE_URL: 'postgres://elsewhere/landfall',
    LOG_LEVEL: 'silent',
    JWT_SECRET: secret,
    DATA_DIR: '/nowhere',
    DELETE_GRACE: '0s',
    LOSS_CONFIRM: '0s',
    ...env,
  })
  const database = overrides.database ?? (await testDatabase())
  await takeOver(store, database)
  const app = await buildApp(config, {
    store,
    database,
    // Every call returns a new time, so that the order of uploads by time is certain.
    now: () => new Date(++time),
    ...overrides,
  })
  onTestFinished(() => {
    // Connections that a client keeps alive would be waited for.
    app.http.server.closeAllConnections()
    return app.http.close()
  })
  return {
    ...app,
    store,
    as: async (actor = ada) => ({ authorization: `Bearer ${await signToken(secret, actor, 60)}` }),
  }
}

/** Pairs a new store with a database that other tests have paired with stores of their own. */
export async function takeOver(store: ObjectStore, database: Database): Promise<void> {
  await database.migrate()
  const row = await pairingsIn(database).find()
  if (!row) return
  await store.prepare?.()
  await writeMarker(store, row).catch(() => {})
}
