import { mkdtemp, rm } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fastify, { type FastifyInstance } from 'fastify'
import { onTestFinished } from 'vitest'
import type { RunningEngine } from '../../src/core/engine.ts'
import type { EngineOptions } from '../../src/core/engine-options.ts'
import { createMemoryBudget } from '../../src/core/memory/memory-budget.ts'
import type { ObjectStore } from '../../src/core/ports/object-store.ts'
import { userOf } from '../../src/core/upload.ts'
import { closeAfterUnreadBody } from '../../src/http/body/unread-body.ts'
import { answerErrors } from '../../src/http/errors.ts'
import { authPlugin, type TokenCheck } from '../../src/http/identity/auth.ts'
import { localStore } from '../../src/stores/local.ts'
import { openEngine } from './open-engine.ts'

export interface TestApp {
  app: FastifyInstance
  engine: RunningEngine
  store: ObjectStore
  /** The URL at which the server listens. */
  url: string
  /** The errors of background work, which no request waited for. */
  reportedErrors: unknown[]
}

/** Tokens in tests are `user:role`, such as `ada:creator`. */
const plainToken: TokenCheck = async (token) => {
  const [id, role] = token.split(':')
  return id && role ? userOf(id, role) : null
}

export const bearer = (token = 'ada:creator') => ({ authorization: `Bearer ${token}` })

/**
 * A listening server with a real engine, a database, and a store in a temporary directory; closes with the test.
 * `register` registers the protocols.
 */
export async function buildTestApp(
  register: (app: FastifyInstance, engine: RunningEngine) => Promise<void>,
  overrides: Partial<EngineOptions> & { leaseMs?: number; waitMs?: number } = {},
): Promise<TestApp> {
  const directory = await mkdtemp(join(tmpdir(), 'landfall-test-'))
  const store = overrides.store ?? localStore({ directory, fsync: false })
  await store.prepare?.()
  const { engine, reportedErrors } = await openEngine({
    partSize: 64 * 1024,
    budget: createMemoryBudget(64 * 1024 ** 2),
    ...overrides,
    store,
  })
  const app = fastify({ exposeHeadRoutes: false })
  answerErrors(app)
  closeAfterUnreadBody(app)
  await app.register(async (scope) => {
    await scope.register(authPlugin, { checks: [plainToken] })
    await register(scope, engine)
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  onTestFinished(async () => {
    engine.drain()
    app.server.closeAllConnections()
    await app.close()
    await engine.drained()
    await rm(directory, { recursive: true, force: true })
  })
  return { app, engine, store, reportedErrors, url: `http://127.0.0.1:${(app.server.address() as AddressInfo).port}` }
}
