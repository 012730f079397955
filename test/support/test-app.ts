import { onTestFinished } from 'vitest'
import { type App, buildApp, type Overrides } from '../../src/app.ts'
import { loadConfig } from '../../src/config.ts'
import { signToken } from '../../src/http/identity/secret.ts'
import { type MemoryStore, memoryStore } from './memory-store.ts'
import { ada, testDatabase } from './open-engine.ts'

const secret = 'a secret that is long enough for HS256'

export interface TestApp extends App {
  store: MemoryStore
  /** The headers that say who asks; ada unless somebody else is named. */
  as: (actor?: Parameters<typeof signToken>[1]) => Promise<{ authorization: string }>
}

/** The whole app over the embedded database and a store in memory; closes with the test. */
export async function testApp(env: Record<string, string> = {}, overrides: Overrides = {}): Promise<TestApp> {
  let time = Date.now()
  const store = memoryStore()
  const config = loadConfig({ LOG_LEVEL: 'silent', JWT_SECRET: secret, DATA_DIR: '/nowhere', ...env })
  const app = await buildApp(config, {
    store,
    database: await testDatabase(),
    // Never the same moment twice: what is newer is then never a matter of luck.
    now: () => new Date(++time),
    ...overrides,
  })
  onTestFinished(() => app.http.close())
  return {
    ...app,
    store,
    as: async (actor = ada) => ({ authorization: `Bearer ${await signToken(secret, actor, 60)}` }),
  }
}
