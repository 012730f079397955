/*
 * The contract with existing clients: every field, status and code that they read. They send the requests in this file. An answer may
 * have further fields, but none of the fields here may be missing or change its meaning.
 */
import { randomBytes } from 'node:crypto'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { errors } from '../../../src/core/errors/errors.ts'
import { userOf } from '../../../src/core/upload.ts'
import { unavailable } from '../../support/memory-store.ts'
import { sharedApp, type TestApp, testAppOver } from '../../support/test-app.ts'

const MiB = 1024 ** 2
const timestamp = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/)
const file = { file_name: 'notes.txt', content_type: 'text/plain', user_id: 'ada', user_role: 'creator' }

/** A client of the contract, on the current or the legacy routes. */
interface Client {
  init(fields: object): Promise<Answer>
  chunk(id: string, index: number | string, bytes: Buffer): Promise<Answer>
  complete(id: string, fields?: object): Promise<Answer>
  status(id: string): Promise<Answer>
  cancel(id: string): Promise<Answer>
}

interface Answer {
  status: number
  // biome-ignore lint/suspicious/noExplicitAny: the tests check the fields of an answer
  body: any
}

async function clientOf({ http, as }: TestApp, prefix: string, actor?: ReturnType<typeof userOf>): Promise<Client> {
  return clientWith(http, prefix, await as(actor))
}

function clientWith(http: TestApp['http'], prefix: string, authorization: Record<string, string>): Client {
  const isLegacy = prefix === '/api/upload'
  async function ask(method: 'GET' | 'POST' | 'PUT', url: string, headers: object, payload?: object | Buffer) {
    const answer = await http.inject({
      method,
      url: prefix + url,
      headers: { ...authorization, ...headers },
      ...(payload && { payload }),
    })
    return { status: answer.statusCode, body: answer.json() }
  }
  const path = (id: string, action: string) => (isLegacy ? `/${action}` : `/${id}/${action}`)
  return {
    init: (fields) => ask('POST', '/init', {}, fields),
    chunk: (id, index, bytes) =>
      ask('PUT', path(id, 'chunk'), { 'X-Upload-Id': id, 'X-Chunk-Index': String(index) }, bytes),
    complete: (id, fields = {}) => ask('POST', path(id, 'complete'), {}, { upload_id: id, ...fields }),
    status: (id) => ask('GET', `/${id}/status`, {}),
    cancel: (id) => ask('POST', path(id, 'cancel'), {}, { upload_id: id }),
  }
}

const chunkSize = 64 * 1024
const env = { CHUNK_SIZE: '64KiB' }
const error = (code: string) => ({ error: { code, message: expect.stringMatching(/\.$/), timestamp } })

describe.each(['/api/upload', '/v1/uploads'])('a client of the contract at %s', (prefix) => {
  it('creates an upload, sends its chunks in any order, and completes it', async () => {
    const app = await sharedApp(env)
    const client = await clientOf(app, prefix)
    const bytes = Buffer.from('contract '.repeat(20_000))

    const created = await client.init({ ...file, total_size: bytes.length })
    const id = created.body.upload_id
    const before = await client.status(id)
    const chunks = await Promise.all(
      [2, 0, 1].map((index) => client.chunk(id, index, bytes.subarray(index * chunkSize, (index + 1) * chunkSize))),
    )
    const between = await client.status(id)
    const completed = await client.complete(id)
    const after = await client.status(id)

    expect(created).toMatchObject({
      status: 201,
      body: { upload_id: expect.any(String), chunk_size: chunkSize, status: 'initiated' },
    })
    expect(chunks).toMatchObject(
      [2, 0, 1].map((index) => ({
        status: 200,
        body: {
          upload_id: id,
          chunk_index: index,
          status: 'uploaded',
          etag: expect.any(String),
          size: Math.min(chunkSize, bytes.length - index * chunkSize),
        },
      })),
    )
    expect(completed).toMatchObject({ status: 200, body: { upload_id: id, status: 'completed' } })
    expect(app.store.objects.get(completed.body.r2_key)?.equals(bytes)).toBe(true)
    const known = { upload_id: id, total_size: bytes.length, ...file, created_at: timestamp, updated_at: timestamp }
    expect(before).toMatchObject({ status: 200, body: { ...known, status: 'initiated', chunks_uploaded: 0 } })
    expect(between).toMatchObject({ status: 200, body: { ...known, status: 'in_progress', chunks_uploaded: 3 } })
    expect(after).toMatchObject({ status: 200, body: { ...known, status: 'completed', chunks_uploaded: 3 } })
    expect(after.body.updated_at >= after.body.created_at).toBe(true)
  })

  it('may complete with a list of parts, whose ETags are verified', async () => {
    const app = await sharedApp(env)
    const client = await clientOf(app, prefix)
    const created = await client.init({ ...file, total_size: 2 * chunkSize })
    const id = created.body.upload_id
    const sent = await Promise.all([0, 1].map((index) => client.chunk(id, index, Buffer.alloc(chunkSize, 'a'))))
    const [first, second] = sent.map(({ body }) => body.etag)

    const other = await client.complete(id, {
      parts: [
        { part_number: 1, etag: first },
        { part_number: 2, etag: 'x' },
      ],
    })
    const fewer = await client.complete(id, { parts: [{ part_number: 1, etag: first }] })
    const parts = [
      { part_number: 1, etag: first },
      { chunk_index: 1, etag: `"${second}"` },
    ]
    const completed = await client.complete(id, { parts })
    const again = await client.complete(id, { parts })

    expect(other).toEqual({ status: 400, body: error('INVALID_FIELD') })
    expect(fewer).toEqual({ status: 400, body: error('INVALID_FIELD') })
    expect([completed.status, completed.body.status]).toEqual([200, 'completed'])
    expect([again.status, again.body.r2_key]).toEqual([200, completed.body.r2_key])
  })

  it('cancels, and gets the same answer to a second request', async () => {
    const client = await clientOf(await sharedApp(env), prefix)
    const { body } = await client.init({ ...file, total_size: 10 })

    const cancelled = await client.cancel(body.upload_id)
    const again = await client.cancel(body.upload_id)
    const status = await client.status(body.upload_id)

    const answer = { status: 200, body: { upload_id: body.upload_id, status: 'cancelled' } }
    expect([cancelled, again]).toEqual([answer, answer])
    expect(status).toMatchObject({ status: 200, body: { ...file, status: 'cancelled' } })
  })

  it('reads the status of failed and expired uploads', async () => {
    let now = new Date()
    const app = await testAppOver((await sharedApp(env)).store, env, { now: () => now })
    const client = await clientOf(app, prefix)
    const failed = await client.init({ ...file, total_size: 10, file_name: 'a.png', content_type: 'image/png' })
    const late = await client.init({ ...file, total_size: 10 })
    onTestFinished(() => void (app.store.fault = () => {}))
    app.store.fault = (call) => {
      if (call === 'uploadPart') app.store.multiparts.clear()
    }
    // The server ends an upload only after a second observation of the loss.
    for (const _ of [1, 2]) await client.chunk(failed.body.upload_id, 0, Buffer.from('0123456789'))
    now = new Date(now.getTime() + 30 * 24 * 60 * 60 * 1000)

    const answers = await Promise.all([failed, late].map(({ body }) => client.status(body.upload_id)))

    expect(answers.map(({ status, body }) => [status, body.status])).toEqual([
      [200, 'failed'],
      [200, 'expired'],
    ])
  })

  it.each(['text', 'undefined', 'null', 'image/*', ''])(
    'may send an invalid content_type, which is ignored: %j',
    async (contentType) => {
      const client = await clientOf(await sharedApp(env), prefix)

      const { status, body } = await client.init({ ...file, total_size: 10, content_type: contentType })

      expect(status).toBe(201)
      expect((await client.status(body.upload_id)).body).toMatchObject({ ...file, content_type: 'text/plain' })
    },
  )

  it('gets the codes that it knows for an invalid init', async () => {
    const client = await clientOf(await sharedApp(env), prefix)
    const invalidFields: Record<string, object> = {
      'no file_name': { file_name: undefined },
      'no total_size': { total_size: undefined },
      'an empty file_name': { file_name: '' },
      'a file_name with a NUL': { file_name: 'a\0b' },
      'a total_size that is a string': { total_size: '10' },
      'a negative total_size': { total_size: -1 },
      'a content_type that is a number': { content_type: 7 },
      'an empty user_id': { user_id: '' },
      'more than the role may send': { total_size: 2 ** 50 },
      'another user': { user_id: 'eve' },
      'another role': { user_role: 'member' },
    }

    const answers: Record<string, Answer> = {}
    for (const [name, fields] of Object.entries(invalidFields))
      answers[name] = await client.init({ ...file, total_size: 10, ...fields })

    const invalid = { status: 400, body: error('INVALID_FIELD') }
    const missing = { status: 400, body: error('MISSING_FIELD') }
    const foreign = { status: 403, body: error('FORBIDDEN') }
    expect(answers).toEqual({
      'no file_name': missing,
      'no total_size': missing,
      'an empty file_name': invalid,
      'a file_name with a NUL': invalid,
      'a total_size that is a string': invalid,
      'a negative total_size': invalid,
      'a content_type that is a number': invalid,
      'an empty user_id': invalid,
      'more than the role may send': { status: 413, body: error('FILE_TOO_LARGE') },
      'another user': foreign,
      'another role': foreign,
    })
  })

  it('gets the codes that it knows for unknown uploads and invalid requests', async () => {
    const client = await clientOf(await sharedApp(env), prefix)
    const { body } = await client.init({ ...file, total_size: 10 })
    const id = body.upload_id
    const unknownId = '00000000-0000-4000-8000-000000000000'

    const invalid = [
      await client.chunk(id, 0, randomBytes(9)),
      await client.chunk(id, 1, randomBytes(10)),
      await client.chunk(id, 'first', randomBytes(10)),
      await client.complete(id),
      await client.complete(id, { parts: 'all' }),
    ]
    const unknown = [
      await client.chunk(unknownId, 0, randomBytes(10)),
      await client.complete(unknownId),
      await client.status(unknownId),
      await client.cancel(unknownId),
    ]

    for (const answer of invalid) expect(answer).toEqual({ status: 400, body: error('INVALID_FIELD') })
    for (const answer of unknown) expect(answer).toEqual({ status: 404, body: error('UPLOAD_NOT_FOUND') })
  })

  it('gets 409 UPLOAD_COMPLETED for a chunk or a cancel of a completed upload', async () => {
    const client = await clientOf(await sharedApp(env), prefix)
    const { body } = await client.init({ ...file, total_size: 10 })
    await client.chunk(body.upload_id, 0, Buffer.from('0123456789'))
    await client.complete(body.upload_id)

    const answers = [
      await client.chunk(body.upload_id, 0, Buffer.from('0123456789')),
      await client.cancel(body.upload_id),
    ]

    for (const answer of answers) expect(answer).toEqual({ status: 409, body: error('UPLOAD_COMPLETED') })
  })

  it('gets 502 R2_ERROR while the store does not answer', async () => {
    const app = await sharedApp(env)
    const client = await clientOf(app, prefix)
    const { body } = await client.init({ ...file, total_size: 10 })
    onTestFinished(() => void (app.store.fault = () => {}))
    app.store.fault = () => {
      throw unavailable()
    }

    expect(await client.chunk(body.upload_id, 0, Buffer.from('0123456789'))).toEqual({
      status: 502,
      body: error('R2_ERROR'),
    })
  })

  it('gets an object key of role, user, day, category and file name', async () => {
    const app = await sharedApp(env)
    const client = await clientOf(app, prefix)
    const { body } = await client.init({ ...file, total_size: 10 })
    await client.chunk(body.upload_id, 0, Buffer.from('0123456789'))

    const completed = await client.complete(body.upload_id)

    expect(completed.body.r2_key).toMatch(/^creator\/ada\/\d{8}\/document\/[^/]+-notes\.txt$/)
  })

  it.each([
    ['an administrator', { isAdmin: true }, { user_id: 'eve', user_role: 'member' }],
    ['a service with a key of its own', null, { user_id: 'eve', user_role: 'creator' }],
  ])('acts for the user that it names if it is %s', async (_who, admin, named) => {
    const app = await sharedApp(env)
    const root = await app.as(userOf('root', 'creator', { isAdmin: true }))
    const key = { name: 'importer', role: 'creator', scopes: ['upload', 'read', 'cancel'] }
    const made = await app.http.inject({ method: 'POST', url: '/v1/admin/keys', headers: root, payload: key })
    const client = clientWith(app.http, prefix, admin ? root : { authorization: `Bearer ${made.json().token}` })
    const eve = await clientOf(app, prefix, userOf('eve', named.user_role))

    const created = await client.init({ ...file, ...named, total_size: 10 })
    const id = created.body.upload_id
    const chunk = await client.chunk(id, 0, Buffer.from('0123456789'))
    const status = await client.status(id)
    const completed = await client.complete(id)
    const asEve = await eve.status(id)
    const other = await client.init({ ...file, ...named, total_size: 10 })
    const cancelled = await client.cancel(other.body.upload_id)

    expect([created, chunk, status, completed, asEve, cancelled].map((answer) => answer.status)).toEqual([
      201, 200, 200, 200, 200, 200,
    ])
    expect(status.body).toMatchObject(named)
    expect(completed.body.r2_key).toMatch(new RegExp(`^${named.user_role}/eve/`))
  })
})

describe('acting for other users', () => {
  const init = { ...file, user_id: 'eve', total_size: 10 }

  it.each([
    ['by a key of a user', { user: 'bob' }, { user_id: 'eve' }],
    ['by a key in another role than its own', {}, { user_role: 'member' }],
  ])('is 403 %s', async (_what, more, named) => {
    const app = await sharedApp(env)
    const root = await app.as(userOf('root', 'creator', { isAdmin: true }))
    const payload = { name: 'importer', role: 'creator', scopes: ['upload'], ...more }
    const made = await app.http.inject({ method: 'POST', url: '/v1/admin/keys', headers: root, payload })
    const client = clientWith(app.http, '/api/upload', { authorization: `Bearer ${made.json().token}` })

    expect(await client.init({ ...init, ...named })).toEqual({ status: 403, body: error('FORBIDDEN') })
  })

  it('is 404 for a chunk of an upload that another administrator created', async () => {
    const app = await sharedApp(env)
    const root = await clientOf(app, '/api/upload', userOf('root', 'creator', { isAdmin: true }))
    const other = await clientOf(app, '/api/upload', userOf('boss', 'creator', { isAdmin: true }))
    const former = await clientOf(app, '/api/upload', userOf('root', 'creator'))
    const { body } = await root.init(init)

    const answers = await Promise.all(
      [other, former].map((client) => client.chunk(body.upload_id, 0, Buffer.alloc(10, 'a'))),
    )

    for (const answer of answers) expect(answer).toEqual({ status: 404, body: error('UPLOAD_NOT_FOUND') })
  })
})

describe('chunk_size', () => {
  it('is 150 MiB by default', async () => {
    const client = await clientOf(await sharedApp(), '/api/upload')

    expect((await client.init({ ...file, total_size: 10 })).body.chunk_size).toBe(150 * MiB)
  })

  it('and max_file_size can be changed by the policies while the server runs', async () => {
    const app = await sharedApp(env)
    const client = await clientOf(app, '/api/upload')
    const headers = await app.as(userOf('root', 'creator', { isAdmin: true }))
    const before = await app.http.inject({ url: '/v1/admin/policies', headers })
    const policies = before.json().policies
    policies.roles.creator = { ...policies.roles.creator, maxSize: '1 MiB', chunkSize: '128 KiB' }

    const change = { method: 'PUT', url: '/v1/admin/policies', payload: { policies } } as const
    const changed = await app.http.inject({ ...change, headers: { ...headers, 'if-match': before.headers.etag } })
    const created = await client.init({ ...file, total_size: MiB })
    const larger = await client.init({ ...file, total_size: MiB + 1 })

    expect(changed.statusCode).toBe(200)
    expect(created.body.chunk_size).toBe(128 * 1024)
    expect(larger).toEqual({ status: 413, body: error('FILE_TOO_LARGE') })
  })
})

describe('the rest of the contract', () => {
  it('is the answer of /health with service, status and timestamp', async () => {
    const { http } = await sharedApp()

    const answer = await http.inject('/health')

    expect([answer.statusCode, answer.json()]).toEqual([
      200,
      { service: expect.any(String), status: expect.any(String), timestamp },
    ])
  })

  it('is 502 DATABASE_ERROR while the database does not answer', async () => {
    const app = await sharedApp()
    const { init } = await clientOf(app, '/api/upload')
    vi.spyOn(app.engine, 'create').mockRejectedValue(errors.databaseUnavailable({}))
    onTestFinished(() => void vi.restoreAllMocks())

    expect(await init({ ...file, total_size: 10 })).toEqual({ status: 502, body: error('DATABASE_ERROR') })
  })
})
