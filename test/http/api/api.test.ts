import { randomUUID } from 'node:crypto'
import { PassThrough } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { defaultPolicies } from '../../../src/core/policy/policy.ts'
import { type Actor, userOf } from '../../../src/core/upload.ts'
import { bodyOf } from '../../support/open-engine.ts'
import { type TestApp, testApp } from '../../support/test-app.ts'
import { untilDone } from '../../support/until.ts'

const bob: Actor = userOf('bob', 'member')

describe('GET /v1/me', () => {
  it('returns the user and what they may upload', async () => {
    const { http, as } = await testApp()

    const answer = await http.inject({ url: '/v1/me', headers: await as(bob) })

    const { maxSize, mediaTypes, categories, timeToLiveMs } = defaultPolicies.roles.member
    expect(answer.json()).toEqual({
      user: 'bob',
      tenant: null,
      role: 'member',
      admin: false,
      policy: { maxSize, mediaTypes, categories, timeToLiveMs },
    })
  })

  it('returns no policy for a role that has none', async () => {
    const { http, as } = await testApp()

    const answer = await http.inject({ url: '/v1/me', headers: await as(userOf('eve', 'constructor')) })

    expect(answer.json()).toMatchObject({ user: 'eve', role: 'constructor', policy: null })
  })
})

describe('GET /v1/uploads', () => {
  it("lists the user's own uploads with their keys, newest first", async () => {
    const app = await testApp()
    const actor = newUser()
    const { id: first } = await create(app, actor, 'a.png')
    const { id: second } = await create(app, actor, 'b.png')
    await create(app, newUser(), 'c.png')

    const answer = await app.http.inject({ url: '/v1/uploads', headers: await app.as(actor) })

    expect(answer.headers['cache-control']).toBe('no-store')
    expect(answer.json().next).toBeNull()
    expect(answer.json().uploads).toMatchObject([
      { id: second, filename: 'b.png', state: 'receiving', url: `/files/${second}` },
      { id: first, filename: 'a.png', category: 'image', contentType: 'image/png', size: 3, offset: 0 },
    ])
    expect(answer.json().uploads[1].key).toMatch(/\/image\/.*-a\.png$/)
  })

  it('shows which uploads are being written and which were sent together', async () => {
    const app = await testApp()
    const actor = newUser()
    const metadata = `filename ${base64('b.txt')},relativePath ${base64('a/b.txt')},batch ${base64('one')}`
    const { id: together } = await app.engine.create(actor, {
      size: 3,
      filename: 'b.txt',
      contentType: 'text/plain',
      metadata,
    })
    const { id: alone } = await app.engine.create(actor, {
      size: 3,
      filename: 'c.txt',
      contentType: 'text/plain',
      metadata: 'batch //8=',
    })
    const body = new PassThrough()
    const writing = app.engine.append(actor, together, { offset: 0, body, bodySize: 3, ending: 'at-size' })
    const listed = async () => {
      const answer = await app.http.inject({ url: '/v1/uploads', headers: await app.as(actor) })
      return answer.json().uploads as { id: string; live: boolean; relativePath: string | null; batch: string | null }[]
    }

    await untilDone(async () => expect((await listed()).some(({ live }) => live)).toBe(true))
    const [second, first] = await listed()
    body.end('abc')
    await writing

    expect(first).toMatchObject({ id: together, live: true, relativePath: 'a/b.txt', batch: 'one' })
    expect(second).toMatchObject({ id: alone, live: false, relativePath: null, batch: null })
    expect((await listed()).map(({ live }) => live)).toEqual([false, false])
  })

  it('returns a long list in pages without gaps or repeats', async () => {
    const app = await testApp()
    const actor = newUser()
    const ids: string[] = []
    for (const name of ['1', '2', '3', '4', '5']) ids.unshift((await create(app, actor, `${name}.png`)).id)

    const listed: string[] = []
    let url = '/v1/uploads?limit=2'
    for (let pages = 0; pages < 3; pages += 1) {
      const { uploads, next } = (await app.http.inject({ url, headers: await app.as(actor) })).json()
      listed.push(...uploads.map((upload: { id: string }) => upload.id))
      url = `/v1/uploads?limit=2&before=${next}`
      if (next === null) break
    }

    expect(listed).toEqual(ids)
  })

  it('shows a completed upload as completed', async () => {
    const app = await testApp()
    const actor = newUser()
    const { id } = await create(app, actor, 'a.png')
    await app.engine.append(actor, id, { offset: 0, body: bodyOf(Buffer.from('abc')), bodySize: 3, ending: 'at-size' })

    const answer = await app.http.inject({ url: `/v1/uploads/${id}`, headers: await app.as(actor) })

    expect(answer.json()).toMatchObject({ state: 'completed', offset: 3, size: 3, failure: null })
    expect(Date.parse(answer.json().completedAt)).toBeCloseTo(Date.now(), -5)
  })

  it('returns absolute addresses if PUBLIC_URL is set', async () => {
    const app = await testApp({ PUBLIC_URL: 'https://up.example/landfall/' })
    const actor = newUser()
    const { id } = await create(app, actor, 'a.png')

    const answer = await app.http.inject({ url: `/v1/uploads/${id}`, headers: await app.as(actor) })

    expect(answer.json().url).toBe(`https://up.example/landfall/files/${id}`)
  })
})

describe('DELETE /v1/uploads/:id', () => {
  it('cancels an upload', async () => {
    const app = await testApp()
    const actor = newUser()
    const { id } = await create(app, actor, 'a.png')

    const cancelled = await app.http.inject({
      method: 'DELETE',
      url: `/v1/uploads/${id}`,
      headers: await app.as(actor),
    })
    const again = await app.http.inject({ method: 'DELETE', url: `/v1/uploads/${id}`, headers: await app.as(actor) })

    expect([cancelled.statusCode, again.statusCode]).toEqual([204, 410])
  })

  it('deletes the object of a completed upload', async () => {
    const app = await testApp()
    const actor = newUser()
    const { id } = await create(app, actor, 'a.png')
    await app.engine.append(actor, id, { offset: 0, body: bodyOf(Buffer.from('abc')), bodySize: 3, ending: 'at-size' })

    await app.http.inject({ method: 'DELETE', url: `/v1/uploads/${id}`, headers: await app.as(actor) })

    expect(app.store.objects.size).toBe(0)
  })
})

describe('the JSON API refuses', () => {
  it.each([
    ['anonymous', 'GET', '/v1/uploads', 401, 'UNAUTHENTICATED'],
    ['ada', 'GET', '/v1/uploads?limit=0', 400, 'INVALID_REQUEST'],
    ['ada', 'GET', '/v1/uploads?limit=101', 400, 'INVALID_REQUEST'],
    ['ada', 'GET', '/v1/uploads?limit=many', 400, 'INVALID_REQUEST'],
    ['ada', 'GET', "/v1/uploads?before='--", 400, 'INVALID_REQUEST'],
    ['ada', 'GET', '/v1/uploads/nonsense', 404, 'UPLOAD_NOT_FOUND'],
    ['ada', 'GET', `/v1/uploads/${randomUUID()}`, 404, 'UPLOAD_NOT_FOUND'],
    ['ada', 'DELETE', `/v1/uploads/${randomUUID()}`, 404, 'UPLOAD_NOT_FOUND'],
    ['ada', 'GET', '/v1/nothing', 404, 'NOT_FOUND'],
  ] as const)('%s: %s %s with %i %s', async (user, method, url, status, code) => {
    const { http, as } = await testApp()

    const answer = await http.inject({ method, url, headers: user === 'anonymous' ? {} : await as() })

    expect([answer.statusCode, answer.json().error.code]).toEqual([status, code])
  })

  it.each(['GET', 'DELETE'] as const)("%s of another user's upload as if it did not exist", async (method) => {
    const app = await testApp()
    const { id } = await create(app, newUser(), 'a.png')

    const answer = await app.http.inject({ method, url: `/v1/uploads/${id}`, headers: await app.as(bob) })

    expect([answer.statusCode, answer.json().error.code]).toEqual([404, 'UPLOAD_NOT_FOUND'])
  })
})

describe('a page on another origin', () => {
  const origin = 'https://app.example'

  it('may call the API and read its error responses', async () => {
    const { http, as } = await testApp({ CORS_ORIGINS: origin })

    const preflight = await http.inject({
      method: 'OPTIONS',
      url: '/v1/uploads',
      headers: { origin, 'access-control-request-method': 'GET', 'access-control-request-headers': 'authorization' },
    })
    const answered = await http.inject({ url: '/v1/uploads', headers: { origin, ...(await as()) } })
    const refused = await http.inject({ url: '/v1/uploads', headers: { origin } })

    expect([preflight.statusCode, answered.statusCode, refused.statusCode]).toEqual([204, 200, 401])
    for (const answer of [preflight, answered, refused])
      expect(answer.headers['access-control-allow-origin']).toBe(origin)
    expect(preflight.headers['access-control-allow-headers']).toMatch(/authorization/i)
    expect(answered.headers['access-control-allow-credentials']).toBeUndefined()
  })

  it('may resume an event stream with Last-Event-ID', async () => {
    const { http } = await testApp({ CORS_ORIGINS: origin })

    const preflight = await http.inject({
      method: 'OPTIONS',
      url: '/v1/events',
      headers: {
        origin,
        'access-control-request-method': 'GET',
        'access-control-request-headers': 'authorization,last-event-id',
      },
    })

    expect(preflight.headers['access-control-allow-headers']).toMatch(/last-event-id/i)
  })

  it('may not call the API if its origin is not allowed', async () => {
    const { http, as } = await testApp({ CORS_ORIGINS: origin })

    const answer = await http.inject({
      url: '/v1/uploads',
      headers: { origin: 'https://evil.example', ...(await as()) },
    })

    expect(answer.headers['access-control-allow-origin']).toBeUndefined()
  })
})

function newUser(): Actor {
  return userOf(randomUUID(), 'member')
}

function create(app: TestApp, actor: Actor, filename: string) {
  return app.engine.create(actor, { size: 3, filename, contentType: 'image/png' })
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}
