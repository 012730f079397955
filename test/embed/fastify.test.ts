import { EventEmitter, once } from 'node:events'
import { request } from 'node:http'
import type { AddressInfo } from 'node:net'
import fastify, { LogController } from 'fastify'
import pg from 'pg'
import { describe, expect, it, onTestFinished } from 'vitest'
import { landfall } from '../../src/embed/fastify.ts'
import { memoryStore } from '../support/memory-store.ts'
import { until } from '../support/until.ts'
import { ann, appWith, create, databaseFor, logIn, secret, send, tus } from './support.ts'

describe('an app with uploads', () => {
  it('completes an upload of a user of its own login', async () => {
    const store = memoryStore()
    const app = await appWith({ store })

    const created = await create(app, 5)
    const sent = await send(app, created.headers.location!, 'hello')

    expect([created.statusCode, sent.statusCode, sent.headers['upload-offset']]).toEqual([201, 204, '5'])
    expect([...store.objects.values()].map(String)).toEqual(['hello'])
    const me = await app.inject({ url: '/uploads/v1/me', headers: ann })
    expect(me.json()).toMatchObject({ user: 'ann', role: 'creator' })
  })

  it('names uploads below its prefix in every protocol', async () => {
    const app = await appWith()
    const rufh = { ...ann, 'upload-complete': '?0', 'upload-draft-interop-version': '8' }

    const locations = [
      (await create(app, 5)).headers.location,
      (await app.inject({ method: 'POST', url: '/uploads/files', headers: rufh })).headers.location,
      (
        await app.inject({
          method: 'POST',
          url: '/uploads/v1/uploads/init',
          headers: ann,
          payload: { file_name: 'a.txt', total_size: 5 },
        })
      ).headers.location,
    ]

    expect(locations).toEqual([
      expect.stringMatching(/^\/uploads\/files\/[0-9a-f-]{36}$/),
      expect.stringMatching(/^\/uploads\/files\/[0-9a-f-]{36}$/),
      expect.stringMatching(/^\/uploads\/v1\/uploads\/[0-9a-f-]{36}$/),
    ])
    const announced = await app.inject({ method: 'OPTIONS', url: '/uploads/files' })
    expect(announced.headers).toMatchObject({ 'tus-version': '1.0.0', 'upload-limit': expect.anything() })
    for (const url of locations.slice(0, 2)) {
      const head = await app.inject({ method: 'HEAD', url: url!, headers: { ...ann, ...tus } })
      expect([head.statusCode, head.headers['upload-offset']]).toEqual([200, '0'])
    }
  })

  it('keeps the uploads of one user from another', async () => {
    const app = await appWith()

    const { headers } = await create(app, 5)
    const other = await app.inject({
      method: 'HEAD',
      url: headers.location!,
      headers: { ...tus, 'x-login': 'eve:pro' },
    })

    expect(other.statusCode).toBe(404)
  })

  it.each([
    ['knows no user', () => null, 401, 'UNAUTHENTICATED'],
    ['throws', () => Promise.reject(new Error('swordfish')), 503, 'IDENTITY_UNAVAILABLE'],
    ['names no role', () => ({ id: 'ann' }) as never, 503, 'IDENTITY_UNAVAILABLE'],
    ['returns nothing', () => undefined as never, 503, 'IDENTITY_UNAVAILABLE'],
  ])('answers a request when its login %s', async (_what, authenticate, status, code) => {
    const app = await appWith({ authenticate })

    const response = await app.inject({ url: '/uploads/v1/me', headers: ann })

    expect([response.statusCode, response.json().error.code]).toEqual([status, code])
    expect(response.body).not.toContain('swordfish')
  })

  it('accepts no tokens beside its own login, and issues none', async () => {
    const app = await appWith()

    const created = await create(app, 5)
    const keys = await app.inject({ url: '/uploads/v1/admin/keys', headers: ann })
    const withToken = await app.inject({ url: '/uploads/v1/me', headers: { authorization: 'Bearer lf_x' } })

    expect(created.headers).not.toHaveProperty('upload-resume-token')
    expect([keys.statusCode, withToken.statusCode]).toEqual([404, 401])
  })
})

describe('the other routes of the app', () => {
  it('keep their parsers, errors, headers and limits', async () => {
    const app = fastify({ bodyLimit: 200_000 })
    app.setErrorHandler((error, _request, reply) => reply.code(418).send({ own: (error as Error).message }))
    app.setNotFoundHandler((_request, reply) => reply.code(404).send({ own: 'nothing here' }))
    app.post('/echo', async ({ body }) => body)
    app.get('/fails', async () => Promise.reject(new Error('mine')))
    await appWith({}, app)

    const big = { text: 'x'.repeat(100_000) }
    const echoed = await app.inject({
      method: 'POST',
      url: '/echo',
      payload: big,
      headers: { origin: 'http://a.example' },
    })
    const failed = await app.inject('/fails')
    const missing = await app.inject('/nowhere')
    const missingUpload = await app.inject('/uploads/nowhere')

    expect(echoed.json()).toEqual(big)
    for (const name of ['content-security-policy', 'access-control-allow-origin', 'x-request-id', 'tus-resumable'])
      expect(echoed.headers).not.toHaveProperty(name)
    expect([failed.statusCode, failed.json()]).toEqual([418, { own: 'mine' }])
    expect([missing.statusCode, missing.json()]).toEqual([404, { own: 'nothing here' }])
    expect(missingUpload.json()).toMatchObject({ error: { code: 'NOT_FOUND' } })
    expect(app.hasRequestDecorator('actor')).toBe(false)
  })

  it('have decorators of the same names, of which two kinds of uploads take no notice', async () => {
    const app = fastify()
    const database = await databaseFor()
    app.decorateRequest('actor', null as never)
    app.decorateRequest('authenticateAgain', null as never)
    app.decorateRequest('dialect', null as never)
    app.decorateRequest('canResume', null as never)
    app.decorateRequest('user', null)
    app.addHook('onRequest', async (request) => void Object.assign(request, { actor: 'of the app', user: 'kim' }))
    app.get('/whoami', async (request) => ({ actor: request.actor, user: (request as { user?: unknown }).user }))
    for (const prefix of ['/photos', '/papers'])
      await appWith({ prefix, database, schema: prefix.slice(1), store: memoryStore() }, app)

    const created = await create(app, 5, { prefix: '/papers' })
    const headers = { ...ann, 'upload-complete': '?1', 'upload-draft-interop-version': '8' }
    const inRufh = await app.inject({ method: 'POST', url: '/photos/files', headers, payload: 'hello' })
    const own = await app.inject({ url: '/whoami' })
    const others = await app.inject({ url: '/photos/v1/me', headers: ann })

    expect(own.json()).toEqual({ actor: 'of the app', user: 'kim' })
    expect([created.statusCode, inRufh.statusCode, others.json().user]).toEqual([201, 201, 'ann'])
  })

  it('run their hooks before the login of the uploads', async () => {
    const app = fastify()
    app.decorateRequest('session', null)
    app.addHook('onRequest', async (request) => void Object.assign(request, { session: { user: 'kim' } }))
    await appWith(
      {
        authenticate: (request) => ({
          id: (request as unknown as { session: { user: string } }).session.user,
          role: 'creator',
          plan: 'pro',
        }),
      },
      app,
    )

    expect((await app.inject('/uploads/v1/me')).json()).toMatchObject({ user: 'kim' })
  })
})

describe('two kinds of uploads in one app', () => {
  it('share a database and nothing else', async () => {
    const database = await databaseFor()
    const app = fastify()
    onTestFinished(() => app.close())
    const stores = { photos: memoryStore(), papers: memoryStore() }
    const mimes = { photos: ['image/*'], papers: ['text/*'] }
    for (const name of ['photos', 'papers'] as const)
      await app.register(landfall, {
        prefix: `/${name}`,
        schema: name,
        store: stores[name],
        database,
        secret,
        authenticate: logIn,
        policies: { creator: { mediaTypes: mimes[name] } },
      })

    const created = await create(app, 5, { prefix: '/papers' })
    await send(app, created.headers.location!, 'hello')
    const elsewhere = created.headers.location!.replace('/papers', '/photos')
    const head = await app.inject({ method: 'HEAD', url: elsewhere, headers: { ...ann, ...tus } })

    expect([created.statusCode, head.statusCode]).toEqual([201, 404])
    expect([stores.photos.objects.size, stores.papers.objects.size]).toEqual([0, 1])
    const refused = await create(app, 5, {
      prefix: '/photos',
      headers: { 'upload-metadata': `filetype ${Buffer.from('text/plain').toString('base64')}` },
    })
    expect(refused.statusCode).toBe(415)
  })
})

/** A pool of an app, by the parts of the URL. */
function poolTo(database: string): pg.Pool {
  const { hostname, port, username, password, pathname } = new URL(database)
  const address = { host: hostname, port: Number(port), user: username, password, database: pathname.slice(1) }
  const pool = new pg.Pool({ ...address, max: 2 })
  // `end` resolves before the connections have closed, and the database may be dropped meanwhile.
  pool.on('connect', (client) => client.on('error', () => {}))
  onTestFinished(() => pool.end())
  return pool
}

describe('the database of an app', () => {
  it('is reached as its own pool does, and gets tables in the schema only', async () => {
    const pool = poolTo(await databaseFor())
    const app = await appWith({ database: pool, schema: undefined as never })
    const schemas = async () => {
      const { rows } = await pool.query(
        `select distinct table_schema as schema from information_schema.tables
         where table_schema not in ('pg_catalog', 'information_schema') order by 1`,
      )
      return rows.map(({ schema }) => schema)
    }

    expect((await create(app, 5)).statusCode).toBe(201)
    // The jobs start after the app.
    await until(async () => (await schemas()).length > 1)
    expect(await schemas()).toEqual(['landfall', 'landfall_jobs'])
    expect((await pool.query('select count(*)::int from landfall.upload_sessions')).rows).toEqual([{ count: 1 }])
    expect((await pool.query('show search_path')).rows[0].search_path).not.toContain('landfall')
  })

  it('has the connections that the app allows, one that listens, and none of its pool', async () => {
    const pool = poolTo(await databaseFor())
    const app = await appWith({ database: pool, connections: 2, schema: undefined as never })

    const users = Array.from({ length: 20 }, (_, number) => ({ headers: { 'x-login': `user-${number}:pro` } }))
    const created = await Promise.all(users.map((user) => create(app, 5, user)))

    expect(created.filter(({ statusCode }) => statusCode !== 201)).toEqual([])
    expect(pool.totalCount).toBe(0)
    const { rows } = await pool.query(
      `select count(*)::int from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
       and backend_type = 'client backend'`,
    )
    expect(rows[0].count).toBeLessThanOrEqual(3)
    expect((await pool.query('show statement_timeout')).rows).toEqual([{ statement_timeout: '0' }])
  })
})

describe('closing the app', () => {
  it('saves what a body has brought, and ends it', async () => {
    const database = await databaseFor({ isMigrated: true })
    const store = memoryStore()
    const arrived = new EventEmitter()
    const app = await appWith({ database, store, onFirstBytes: () => arrived.emit('bytes') })
    await app.listen({ port: 0, host: '127.0.0.1' })
    const { headers } = await create(app, 100_000)
    const { port } = app.server.address() as AddressInfo
    const sending = request({
      port,
      host: '127.0.0.1',
      method: 'PATCH',
      path: headers.location!,
      headers: {
        ...ann,
        ...tus,
        'upload-offset': '0',
        'content-type': 'application/offset+octet-stream',
        'content-length': '100000',
      },
    })
    sending.on('error', () => {})
    const bytes = once(arrived, 'bytes')
    // Short enough to arrive in one packet, with the header.
    sending.write(Buffer.alloc(10_000, 'x'))
    await bytes

    const answered = once(sending, 'response')
    await app.close()
    const [response] = await answered
    sending.destroy()

    expect(response.statusCode).toBe(503)
    const again = await appWith({ database, store })
    const found = await again.inject({ method: 'HEAD', url: headers.location!, headers: { ...ann, ...tus } })
    expect(found.headers['upload-offset']).toBe('10000')
  })
})

it('writes its log with the logger of the app', async () => {
  const lines: string[] = []
  const stream = { write: (line: string) => void lines.push(line) }
  const app = fastify({ logger: { stream, base: { service: 'shop' } }, logController: new LogController() })
  await appWith({}, app)

  await app.inject({ url: '/uploads/v1/me' })

  const refused = lines.map((line) => JSON.parse(line)).find(({ code }) => code === 'UNAUTHENTICATED')
  expect(refused).toMatchObject({ service: 'shop', msg: 'request refused' })
})

describe('options with a problem', () => {
  it.each([
    ['no prefix', { prefix: '' }, /prefix: is not set/],
    ['a setting that does not exist', { settings: { PART_SIZES: '8MiB' } }, /there is no PART_SIZES/],
    ['a setting with a wrong value', { settings: { PART_SIZE: 'big' } }, /PART_SIZE: expected a size/],
    ['a secret that can be guessed', { secret: 'short' }, /JWT_SECRET/],
    ['no connection', { connections: 0 }, /DATABASE_POOL/],
    ['a schema that is no name', { schema: 'a-b' }, /DATABASE_SCHEMA/],
    ['a policy that does not exist', { policies: { creator: { maxSizes: 5 } as never } }, /maxSizes/],
  ])('keep the app from starting: %s', async (_what, options, message) => {
    await expect(appWith({ database: 'postgres://nowhere/x', ...options })).rejects.toThrow(message)
  })
})
