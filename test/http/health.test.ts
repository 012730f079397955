import Fastify from 'fastify'
import { expect, it, onTestFinished } from 'vitest'
import { healthPlugin } from '../../src/http/health.ts'

it.each(['/health', '/livez'])('%s answers while all dependencies are down', async (url) => {
  const app = await appWith({ checks: { database: failing } })

  const answer = await app.inject(url)

  expect(answer.statusCode).toBe(200)
  expect(answer.json()).toEqual({ service: 'landfall', status: 'ok', timestamp: expect.any(String) })
})

it('/readyz is 200 when every dependency answers', async () => {
  const app = await appWith({ checks: { database: passing, store: passing } })

  expect((await app.inject('/readyz')).json()).toMatchObject({ service: 'landfall', status: 'ready' })
})

it('/readyz is 503 and names the dependency that fails, without its address', async () => {
  const app = await appWith({ checks: { database: failing, store: passing } })

  const answer = await app.inject('/readyz')

  expect(answer.statusCode).toBe(503)
  expect(answer.json().reason).toBe('database does not answer')
  expect(answer.headers['retry-after']).toBeDefined()
})

it('/readyz is 503 when a dependency does not answer', async () => {
  const app = await appWith({ checks: { store: () => new Promise<void>(() => {}) } })

  expect((await app.inject('/readyz')).json().reason).toBe('store does not answer')
})

it('/readyz is 503 while the server stops', async () => {
  const app = await appWith({ checks: {}, isDraining: () => true })

  const answer = await app.inject('/readyz')

  expect(answer.statusCode).toBe(503)
  expect(answer.json().reason).toBe('the server is stopping')
})

it('/readyz reuses a recent result instead of checking for every probe', async () => {
  let calls = 0
  const app = await appWith({
    checks: {
      store: async () => {
        calls += 1
      },
    },
  })

  await Promise.all(Array.from({ length: 20 }, () => app.inject('/readyz')))

  expect(calls).toBe(1)
})

async function appWith(options: { checks: Record<string, () => Promise<void>>; isDraining?: () => boolean }) {
  const app = Fastify()
  onTestFinished(() => app.close())
  await app.register(healthPlugin, { isDraining: () => false, ...options })
  return app
}

async function passing(): Promise<void> {}

async function failing(): Promise<void> {
  throw new Error('connect ECONNREFUSED 10.1.2.3:5432')
}
