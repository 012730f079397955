import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'
import { type App, buildApp, type Overrides } from '../../src/app/app.ts'
import { loadConfig } from '../../src/config.ts'
import { writeMarker } from '../../src/core/pairing/marker.ts'
import type { ObjectStore } from '../../src/core/ports/object-store.ts'
import type { Database } from '../../src/db/open.ts'
import { pairingsIn } from '../../src/db/pairing.ts'
import { signToken } from '../../src/http/identity/secret.ts'
import { onFileFinished } from './file-end.ts'
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

const sharedApps = new Map<string, Promise<TestApp>>()
let sharedStore: MemoryStore | undefined

/**
 * The app with these settings that all tests of a file share, on one store; closes with the file. For tests that look at answers, or at
 * uploads of users of their own: opening an app takes longer than most of them. A file that uses it opens no other apps that write.
 */
export async function sharedApp(env: Record<string, string> = {}): Promise<TestApp> {
  const key = JSON.stringify(env)
  const known = sharedApps.get(key)
  if (known) return known
  // What is registered first is closed last.
  await testDatabase()
  sharedStore ??= memoryStore()
  const opened = openApp(sharedStore, env, {})
  sharedApps.set(key, opened)
  onFileFinished(async () => {
    sharedApps.delete(key)
    sharedStore = undefined
    await closeApp(await opened)
  })
  return opened
}

/** The port on 127.0.0.1 at which the app listens, from the first call on. */
export async function portOf({ http }: Pick<App, 'http'>): Promise<number> {
  if (!http.server.listening) await http.listen({ host: '127.0.0.1', port: 0 })
  return (http.server.address() as AddressInfo).port
}

/** As `testApp`, over a store that the caller closes. */
export async function testAppOver<Store extends ObjectStore>(
  store: Store,
  env: Record<string, string> = {},
  overrides: Overrides = {},
): Promise<TestApp<Store>> {
  const app = await openApp(store, env, overrides)
  onTestFinished(() => closeApp(app))
  return app
}

function closeApp({ http }: App): Promise<void> {
  // Connections that a client keeps alive would be waited for.
  http.server.closeAllConnections()
  return http.close()
}

async function openApp<Store extends ObjectStore>(
  store: Store,
  env: Record<string, string>,
  overrides: Overrides,
): Promise<TestApp<Store>> {
  let time = Date.now()
  const config = loadConfig({
    NODE_ENV: 'production',
    API_DOCS: 'true',
    DATABASE_URL: 'postgres://elsewhere/landfall',
    LOG_LEVEL: 'silent',
    JWT_SECRET: secret,
    DATA_DIR: '/nowhere',
    WORKERS: '1',
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
