import type { AddressInfo } from 'node:net'
import fastify from 'fastify'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { UploadError } from '../../../src/core/errors/error.ts'
import { type Actor, userOf } from '../../../src/core/upload.ts'
import { openFeed } from '../../../src/features/live-events/feed.ts'
import { eventsPlugin } from '../../../src/features/live-events/plugin.ts'
import { answerErrors } from '../../../src/http/errors.ts'
import { authPlugin } from '../../../src/http/identity/auth.ts'
import { resumeTokens } from '../../../src/http/identity/resume.ts'
import { signToken } from '../../../src/http/identity/secret.ts'
import { ada, bodyOf, testDatabase } from '../../support/open-engine.ts'
import { secret, type TestApp, testApp } from '../../support/test-app.ts'
import { until } from '../../support/until.ts'

const bob = userOf('bob', 'creator')
const namesake = userOf('ada', 'creator', { tenant: 'elsewhere' })
const root = userOf('root', 'creator', { isAdmin: true })
const creation = { filename: 'a.txt', contentType: 'text/plain', size: 5 }

async function openServer() {
  const app = await testApp()
  await app.http.listen({ port: 0, host: '127.0.0.1' })
  const url = `http://127.0.0.1:${(app.http.server.address() as AddressInfo).port}`
  return { ...app, url }
}

interface Received {
  id: number
  type: string
  uploadId: string
}

/** Opens an event stream. */
async function listen(app: TestApp & { url: string }, actor: Actor, more: { path?: string; last?: number } = {}) {
  const stop = new AbortController()
  onTestFinished(() => stop.abort())
  const response = await fetch(app.url + (more.path ?? '/v1/events'), {
    headers: { ...(await app.as(actor)), ...(more.last !== undefined && { 'last-event-id': String(more.last) }) },
    signal: stop.signal,
  })
  const received: Received[] = []
  let text = ''
  let isOver = false
  const reading = (async () => {
    for await (const chunk of response.body ?? []) {
      text += Buffer.from(chunk).toString()
      for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
        const [, id, type, data] = /^id: (\d+)\nevent: (.*)\ndata: (.*)$/.exec(text.slice(0, end)) ?? []
        if (id) received.push({ id: Number(id), type: type!, ...JSON.parse(data!) })
        text = text.slice(end + 2)
      }
    }
  })()
    .catch(() => {})
    .finally(() => {
      isOver = true
    })
  return {
    response,
    received,
    reading,
    isOver: () => isOver,
    stop: () => stop.abort(),
    async until(count: number) {
      await until(() => received.length >= count)
      return received
    },
  }
}

async function send(app: TestApp, actor: Actor): Promise<string> {
  const { id } = await app.engine.create(actor, creation)
  await app.engine.append(actor, id, { offset: 0, body: bodyOf(Buffer.from('hello')), bodySize: 5, ending: 'at-size' })
  return id
}

describe('live events', () => {
  it('are sent for a user’s own uploads, and for no others', async () => {
    const app = await openServer()
    const stream = await listen(app, ada)
    expect(stream.response.headers.get('content-type')).toBe('text/event-stream')

    await send(app, bob)
    await send(app, namesake)
    const id = await send(app, ada)

    expect(await stream.until(2)).toMatchObject([
      { type: 'upload.created', uploadId: id },
      { type: 'upload.completed', uploadId: id },
    ])
    expect(stream.received[1]).toMatchObject({ filename: 'a.txt', size: 5, ownerId: 'ada' })
    expect(JSON.stringify(stream.received)).not.toContain('"key"')
  })

  it('are sent for all uploads to administrators only', async () => {
    const app = await openServer()
    const all = await listen(app, root, { path: '/v1/events?all=true' })
    const own = await listen(app, root)
    expect((await listen(app, ada, { path: '/v1/events?all=true' })).response.status).toBe(403)

    await send(app, ada)
    await send(app, bob)

    expect(new Set((await all.until(4)).map((each) => (each as unknown as { ownerId: string }).ownerId))).toEqual(
      new Set(['ada', 'bob']),
    )
    expect(own.received).toEqual([])
  })

  it('are limited to the tenant of an administrator, also when replayed', async () => {
    const app = await openServer()
    const boss = userOf('boss', 'creator', { tenant: 'elsewhere', isAdmin: true })
    await send(app, ada)
    await send(app, namesake)
    const missed = await listen(app, boss, { path: '/v1/events?all=true', last: 0 })
    const all = await listen(app, boss, { path: '/v1/events?all=true' })

    await send(app, ada)
    await send(app, userOf('ben', 'creator', { tenant: 'elsewhere' }))
    await Promise.all([missed.until(4), all.until(2)])

    const tenants = [...missed.received, ...all.received].map((each) => (each as unknown as { tenant: string }).tenant)
    expect(new Set(tenants)).toEqual(new Set(['elsewhere']))
  })

  it.each([
    ['an invalid token', async () => 'nonsense', 401],
    ['an expired token', () => signToken(secret, ada, -60), 401],
    ['the resume token of an upload', (id: string) => resumeTokens(secret)(ada, { id }), 401],
  ])('are refused to %s', async (_who, tokenOf, status) => {
    const app = await openServer()
    const id = await send(app, ada)

    const response = await app.http.inject({
      url: '/v1/events',
      headers: { authorization: `Bearer ${await tokenOf(id)}`, 'last-event-id': '0' },
    })

    expect(response.statusCode).toBe(status)
    expect(response.body).not.toContain(id)
  })

  it('are sent to keys with the scope read only', async () => {
    const app = await openServer()
    const headers = await app.as(root)
    const keyWith = async (scope: string) => {
      const payload = { name: scope, role: 'creator', user: 'ada', scopes: [scope] }
      return (await app.http.inject({ method: 'POST', url: '/v1/admin/keys', headers, payload })).json().token
    }

    const request = async (token: string) =>
      fetch(`${app.url}/v1/events`, { headers: { authorization: `Bearer ${token}` } })
    const allowed = await request(await keyWith('read'))

    expect(allowed.status).toBe(200)
    await allowed.body?.cancel()
    expect((await request(await keyWith('upload'))).status).toBe(403)
  })

  it('resume after the last connection, without gaps and duplicates', async () => {
    const app = await openServer()
    const first = await listen(app, ada)
    await send(app, ada)
    const last = (await first.until(2)).at(-1)!.id
    first.stop()

    const missed = await send(app, ada)
    const second = await listen(app, ada, { last })
    const later = await send(app, ada)

    const received = await second.until(4)
    expect(received.map(({ uploadId, type }) => [uploadId, type])).toEqual([
      [missed, 'upload.created'],
      [missed, 'upload.completed'],
      [later, 'upload.created'],
      [later, 'upload.completed'],
    ])
    // A duplicate would have arrived before these later events.
    await send(app, ada)
    await second.until(6)
    expect(new Set(second.received.map(({ id }) => id)).size).toBe(6)
    expect(second.received).toHaveLength(6)
  })

  it('are complete, however many a client has missed', async () => {
    const app = await openServer()
    const database = await testDatabase()
    const [newest] = await database.query<{ id: number }>(
      { name: 'test-newest', text: 'select coalesce(max(id), 0) as id from upload_events' },
      [],
    )
    await database.query(
      {
        name: 'test-missed',
        text: `insert into upload_events (upload_id, seq, type, data)
          select gen_random_uuid(), 1, 'upload.created', '{"ownerId":"ada"}' from generate_series(1, 1200)`,
      },
      [],
    )

    const first = await listen(app, ada, { last: newest!.id })
    await first.until(1000)
    await send(app, ada)
    await first.reading
    const second = await listen(app, ada, { last: first.received.at(-1)!.id })
    await second.until(1202 - first.received.length)

    const ids = [...first.received, ...second.received].map(({ id }) => id)
    expect(ids).toEqual([...new Set(ids)].toSorted((a, b) => a - b))
    expect(ids).toHaveLength(1202)
  })

  it('end when the token is no longer valid', async () => {
    let identify: () => Actor | null = () => ada
    let checks = 0
    const check = async () => {
      checks += 1
      return identify()
    }
    const feed = openFeed({ database: await testDatabase(), onError: console.error, everyMs: 20 })
    const app = fastify()
    answerErrors(app)
    await app.register(authPlugin, { checks: [check] })
    await app.register(eventsPlugin, { feed, authorizer: async () => {}, heartbeatMs: 30 })
    await app.listen({ port: 0, host: '127.0.0.1' })
    onTestFinished(async () => {
      feed.close()
      await app.close()
    })
    const listenHere = async () => {
      const { port } = app.server.address() as AddressInfo
      const response = await fetch(`http://127.0.0.1:${port}/events`, { headers: { authorization: 'Bearer x' } })
      return { ended: response.text().then(() => 'ended') }
    }
    // Resolves after three more checks of the token.
    const stays = async () => {
      const before = checks
      await until(() => checks >= before + 3)
      return 'stays'
    }

    const first = await listenHere()
    expect(await Promise.race([first.ended, stays()])).toBe('stays')
    // An outage of the database must not end the stream.
    identify = () => {
      throw new UploadError('DATABASE_ERROR', 'The database does not answer.')
    }
    expect(await Promise.race([first.ended, stays()])).toBe('stays')
    identify = () => null
    expect(await first.ended).toBe('ended')

    identify = () => ada
    const second = await listenHere()
    identify = () => bob
    expect(await second.ended).toBe('ended')
  })

  it('have a limited number of streams per user', async () => {
    const app = await openServer()
    const five = await Promise.all(Array.from({ length: 5 }, () => listen(app, ada)))

    const sixth = await listen(app, ada)

    expect([sixth.response.status, sixth.response.headers.get('retry-after')]).toEqual([429, '30'])
    expect((await listen(app, bob)).response.status).toBe(200)
    five[0]!.stop()
    expect(await until(async () => (await listen(app, ada)).response.status === 200)).toBe(true)
  })

  it('end when the server stops', async () => {
    const app = await openServer()
    const stream = await listen(app, ada)

    await app.stop()

    await stream.reading
    expect(stream.isOver()).toBe(true)
  })
})

describe('the feed', () => {
  it('delivers an event whose id is lower than one delivered before', async () => {
    const database = await testDatabase()
    const insert = (id: number) =>
      database.query(
        {
          name: 'test-event',
          text: `insert into upload_events (id, upload_id, seq, type, data) overriding system value values ($1, gen_random_uuid(), 1, 'upload.created', '{}')`,
        },
        [id],
      )
    const feed = openFeed({ database, onError: console.error, everyMs: 20 })
    onTestFinished(() => feed.close())
    await insert(1_000_000)
    const received: number[] = []
    const unsubscribe = await feed.subscribe(({ id }) => received.push(id))

    await insert(1_000_002)
    await until(() => received.length === 1)
    await insert(1_000_001)
    await until(() => received.length === 2)

    expect(received).toEqual([1_000_002, 1_000_001])
    unsubscribe()
  })

  it('runs no queries while there are no subscribers', async () => {
    vi.useFakeTimers()
    let queries = 0
    const query = async ({ name }: { name: string }) => {
      queries += 1
      return (name === 'feed-newest' ? [{ id: 0 }] : []) as never
    }
    const feed = openFeed({ database: { query }, onError: console.error, everyMs: 10 })
    onTestFinished(() => {
      feed.close()
      vi.useRealTimers()
    })

    await vi.advanceTimersByTimeAsync(50)
    expect(queries).toBe(0)
    const unsubscribe = await feed.subscribe(() => {})
    await vi.advanceTimersByTimeAsync(100)
    unsubscribe()
    await vi.advanceTimersByTimeAsync(50)
    const before = queries
    await vi.advanceTimersByTimeAsync(1000)

    expect(before).toBeGreaterThan(2)
    expect(queries).toBe(before)
  })
})
