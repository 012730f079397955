import Fastify from 'fastify'
import { expect, it, onTestFinished } from 'vitest'
import { healthPlugin } from '../../src/http/health.ts'

it.each(['/health', '/livez'])('%s answers while everything else is down', async (url) => {
  const app = await appWith({ parts: { database: refuse } })

  const answer = await app.inject(url)

  expect(answer.statusCode).toBe(200)
  expect(answer.json()).toEqual({ service: 'landfall', status: 'ok', timestamp: expect.any(String) })
})

it('is ready when every part answers', async () => {
  const app = await appWith({ parts: { database: agree, store: agree } })

  expect((await app.inject('/readyz')).json()).toMatchObject({ service: 'landfall', status: 'ready' })
})

it('is not ready when a part refuses, and says which without saying where it lives', async () => {
  const app = await appWith({ parts: { database: refuse, store: agree } })

  const answer = await app.inject('/readyz')

  expect(answer.statusCode).toBe(503)
  expect(answer.json().reason).toBe('database does not answer')
  expect(answer.headers['retry-after']).toBeDefined()
})

it('is not ready when a part hangs', async () => {
  const app = await appWith({ parts: { store: () => new Promise<void>(() => {}) } })

  expect((await app.inject('/readyz')).json().reason).toBe('store does not answer')
})

it('is not ready while it stops', async () => {
  const app = await appWith({ parts: {}, isDraining: () => true })

  const answer = await app.inject('/readyz')

  expect(answer.statusCode).toBe(503)
  expect(answer.json().reason).toBe('the server is stopping')
})

it('does not pass every question on to the parts', async () => {
  let asked = 0
  const app = await appWith({
    parts: {
      store: async () => {
        asked += 1
      },
    },
  })

  await Promise.all(Array.from({ length: 20 }, () => app.inject('/readyz')))

  expect(asked).toBe(1)
})

async function appWith(options: { parts: Record<string, () => Promise<void>>; isDraining?: () => boolean }) {
  const app = Fastify()
  onTestFinished(() => app.close())
  await app.register(healthPlugin, { isDraining: () => false, ...options })
  return app
}

async function agree(): Promise<void> {}

async function refuse(): Promise<void> {
  throw new Error('connect ECONNREFUSED 10.1.2.3:5432')
}
