import type { AddressInfo } from 'node:net'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { buildApp } from '../../src/app/app.ts'
import { loadConfig } from '../../src/config.ts'
import { UploadError } from '../../src/core/errors/error.ts'
import { memoryStore } from '../support/memory-store.ts'
import { ada, testDatabase } from '../support/open-engine.ts'
import { headOf, openRaw } from '../support/raw-http.ts'
import { takeOver, testApp } from '../support/test-app.ts'

describe('the app', () => {
  it.each(['/health', '/livez', '/readyz', '/docs/json'])('answers %s without a token', async (url) => {
    const { http } = await testApp()

    expect((await http.inject(url)).statusCode).toBe(200)
  })

  it('describes its API, with the errors', async () => {
    const { http } = await testApp()

    const { paths } = (await http.inject('/docs/json')).json()

    expect(Object.keys(paths)).toEqual(expect.arrayContaining(['/v1/me', '/v1/uploads', '/v1/uploads/{id}']))
    expect(Object.keys(paths['/v1/uploads'].get.responses)).toContain('401')
  })

  it('shows the API page without inline script', async () => {
    const { http } = await testApp()

    const page = await http.inject('/docs')

    expect(page.body).not.toMatch(/<script(?![^>]*\bsrc=)/)
    expect(page.headers['content-security-policy']).toMatch("default-src 'self'")
    expect(page.headers['content-security-policy']).not.toMatch(/unsafe|upgrade-insecure/)
  })

  it('does not start when the store cannot be used', async () => {
    const store = memoryStore()
    const database = await testDatabase()
    await takeOver(store, database)
    store.check = () => Promise.reject(new UploadError('STORE_UNAVAILABLE', 'The bucket "files" does not exist.'))

    const config = loadConfig({ LOG_LEVEL: 'silent', START_TIMEOUT: '1s' })
    const building = buildApp(config, { store, database })

    await expect(building).rejects.toThrow('The bucket "files" does not exist.')
  })
})

it('answers requests while its background work starts', async () => {
  const database = await testDatabase()
  let start = () => {}
  const started = new Promise<void>((resolve) => {
    start = resolve
  })
  const executeSql: typeof database.executeSql = (...given) => started.then(() => database.executeSql(...given))
  const app = await testApp({}, { database: { ...database, executeSql } })
  const working = vi.fn()
  void app.working.then(working)

  const me = await app.http.inject({ url: '/v1/me', headers: await app.as() })
  expect([me.statusCode, working.mock.calls.length]).toEqual([200, 0])

  start()
  await expect(app.working).resolves.toBeUndefined()
})

it.each([
  [null, true],
  [1, true],
  [2, false],
])('as worker %s has its background work: %s', async (worker, hasWork) => {
  const store = memoryStore()
  const database = await testDatabase()
  await takeOver(store, database)
  // Only the queue of jobs runs statements in this way.
  const executeSql = vi.fn(database.executeSql)
  const config = loadConfig({ LOG_LEVEL: 'silent' })
  const app = await buildApp({ ...config, worker }, { store, database: { ...database, executeSql } })
  onTestFinished(() => app.stop())

  await app.working

  expect(executeSql.mock.calls.length > 0).toBe(hasWork)
})

describe('a database that is lost before the background work has started', () => {
  const away = () => Promise.reject(Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' }))

  it('is retried until it answers', async () => {
    const database = await testDatabase()
    let failures = 2
    const executeSql: typeof database.executeSql = (...given) =>
      failures-- > 0 ? away() : database.executeSql(...given)

    const app = await testApp({}, { database: { ...database, executeSql } })

    await expect(app.working).resolves.toBeUndefined()
    expect(failures).toBeLessThan(0)
  })

  it('does not keep the server from stopping', async () => {
    const app = await testApp({}, { database: { ...(await testDatabase()), executeSql: away } })

    await app.http.close()

    await expect(app.working).resolves.toBeUndefined()
  })
})

it('rejects `working` when its background work cannot start', async () => {
  const database = await testDatabase()
  const executeSql = () => Promise.reject(new Error('permission denied for database'))

  const app = await testApp({}, { database: { ...database, executeSql } })

  await expect(app.working).rejects.toThrow('permission denied')
})

it('announces every protocol of the endpoint in one OPTIONS response', async () => {
  const { http } = await testApp()

  const { headers } = await http.inject({ method: 'OPTIONS', url: '/files' })

  expect(headers).toMatchObject({
    'tus-version': '1.0.0',
    'upload-limit': 'max-size=10737418240, min-size=0',
    'accept-patch': 'application/partial-upload',
  })
})

describe('a body that stalls', () => {
  it.each([
    ['DELETE', '/v1/uploads/00000000-0000-4000-8000-000000000000'],
    ['POST', '/v1/uploads/init'],
    ['POST', '/v1/nowhere'],
    ['POST', '/nowhere'],
  ])('is answered 503 after BODY_IDLE_TIMEOUT: %s %s', async (method, path) => {
    const { http, as } = await testApp({ BODY_IDLE_TIMEOUT: '1s' })
    await http.listen({ host: '127.0.0.1', port: 0 })
    const headers = { ...(await as()), 'content-type': 'application/json', 'content-length': 100 }

    const connection = await openRaw((http.server.address() as AddressInfo).port)
    await connection.send(`${headOf({ method, path, headers: { ...headers, connection: 'keep-alive' } })}{"a":`)
    const answer = await connection.answer()

    expect([answer?.status, answer?.json()]).toMatchObject([503, { error: { code: 'BODY_TIMEOUT' } }])
  })

  it('is not waited for when no route reads its type', async () => {
    const { http } = await testApp()

    const answer = await http.inject({
      method: 'POST',
      url: '/nowhere',
      headers: { 'content-type': 'text/plain' },
      payload: 'x',
    })

    expect(answer.statusCode).toBe(404)
  })
})

it('answers a plain OPTIONS of the API with 204', async () => {
  const { http } = await testApp()

  expect((await http.inject({ method: 'OPTIONS', url: '/v1/uploads' })).statusCode).toBe(204)
})

it('creates no upload after it was stopped', async () => {
  const { engine, stop } = await testApp()

  await stop()

  await expect(engine.create(ada, { size: 1, filename: 'a', contentType: 'text/plain' })).rejects.toMatchObject({
    code: 'SHUTTING_DOWN',
  })
})

describe('a server whose clock is eight days ahead', () => {
  const wallMs = () => Date.now() + 8 * 24 * 3600_000

  it('is not ready, and says why', async () => {
    const { http } = await testApp({}, { wallMs, now: undefined })

    const answer = await http.inject('/readyz')

    expect(answer.statusCode).toBe(503)
    expect(answer.json().reason).toMatch(/clock is 69\d{4} s ahead of the database/)
  })

  it('expires nothing', async () => {
    const { http, engine, as } = await testApp({}, { wallMs, now: undefined })
    const headers = await as()
    const { id } = await engine.create(ada, { filename: 'a.bin', contentType: 'text/plain', size: 100 })

    const answer = await http.inject({ url: `/v1/uploads/${id}`, headers })

    expect(await engine.expire(id)).toBe(false)
    expect(answer.json().state).toBe('receiving')
  })
})
