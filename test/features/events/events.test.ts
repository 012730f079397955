import type { AddressInfo } from 'node:net'
import fastify from 'fastify'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { UploadError } from '../../../src/core/errors/error.ts'
import { type Actor, userOf } from '../../../src/core/upload.ts'
import { openFeed } from '../../../src/features/events/feed.ts'
import { eventsPlugin } from '../../../src/features/events/plugin.ts'
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

interface Told {
  id: number
  type: string
  uploadId: string
}

/** A connection that listens. */
async function listen(app: TestApp & { url: string }, actor: Actor, more: { path?: string; last?: number } = {}) {
  const stop = new AbortController()
  onTestFinished(() => stop.abort())
  const answer = await fetch(app.url + (more.path ?? '/v1/events'), {
    headers: { ...(await app.as(actor)), ...(more.last !== undefined && { 'last-event-id': String(more.last) }) },
    signal: stop.signal,
  })
  const told: Told[] = []
  let text = ''
  let isOver = false
  const reading = (async () => {
    for await (const chunk of answer.body ?? []) {
      text += Buffer.from(chunk).toString()
      for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
        const [, id, type, data] = /^id: (\d+)\nevent: (.*)\ndata: (.*)$/.exec(text.slice(0, end)) ?? []
        if (id) told.push({ id: Number(id), type: type!, ...JSON.parse(data!) })
        text = text.slice(end + 2)
      }
    }
  })()
    .catch(() => {})
    .finally(() => {
      isOver = true
    })
  return {
    answer,
    told,
    reading,
    isOver: () => isOver,
    stop: () => stop.abort(),
    async until(count: number) {
      await until(() => told.length >= count)
      return told
    },
  }
}

async function send(app: TestApp, actor: Actor): Promise<string> {
  const { id } = await app.engine.create(actor, creation)
  await app.engine.append(actor, id, { offset: 0, body: bodyOf(Buffer.from('hello')), bodySize: 5, ending: 'at-size' })
  return id
}

describe('live events', () => {
  it('tell one of what happens to one’s own uploads, and of no others', async () => {
    const app = await openServer()
    const mine = await listen(app, ada)
    expect(mine.answer.headers.get('content-type')).toBe('text/event-stream')

    await send(app, bob)
    await send(app, namesake)
    const id = await send(app, ada)

    expect(await mine.until(2)).toMatchObject([
      { type: 'upload.created', uploadId: id },
      { type: 'upload.completed', uploadId: id },
    ])
    expect(mine.told[1]).toMatchObject({ filename: 'a.txt', size: 5, ownerId: 'ada' })
    expect(JSON.stringify(mine.told)).not.toContain('"key"')
  })

  it('tell an administrator of everybody’s, and nobody else', async () => {
    const app = await openServer()
    const all = await listen(app, root, { path: '/v1/events?all=true' })
    const own = await listen(app, root)
    expect((await listen(app, ada, { path: '/v1/events?all=true' })).answer.status).toBe(403)

    await send(app, ada)
    await send(app, bob)

    expect(new Set((await all.until(4)).map((each) => (each as unknown as { ownerId: string }).ownerId))).toEqual(
      new Set(['ada', 'bob']),
    )
    expect(own.told).toEqual([])
  })

  it('tell an administrator of a tenant what happens to its uploads only, also what was missed', async () => {
    const app = await openServer()
    const boss = userOf('boss', 'creator', { tenant: 'elsewhere', isAdmin: true })
    await send(app, ada)
    await send(app, namesake)
    const missed = await listen(app, boss, { path: '/v1/events?all=true', last: 0 })
    const all = await listen(app, boss, { path: '/v1/events?all=true' })

    await send(app, ada)
    await send(app, userOf('ben', 'creator', { tenant: 'elsewhere' }))
    await Promise.all([missed.until(4), all.until(2)])

    const tenants = [...missed.told, ...all.told].map((each) => (each as unknown as { tenant: string }).tenant)
    expect(new Set(tenants)).toEqual(new Set(['elsewhere']))
  })

  it.each([
    ['nobody', async () => 'nonsense', 401],
    ['a token that has expired', () => signToken(secret, ada, -60), 401],
    ['the resume token of an upload', (id: string) => resumeTokens(secret)(ada, { id }), 401],
  ])('are not for %s', async (_who, tokenOf, status) => {
    const app = await openServer()
    const id = await send(app, ada)

    const answer = await app.http.inject({
      url: '/v1/events',
      headers: { authorization: `Bearer ${await tokenOf(id)}`, 'last-event-id': '0' },
    })

    expect(answer.statusCode).toBe(status)
    expect(answer.body).not.toContain(id)
  })

  it('are for keys that may read, and for no others', async () => {
    const app = await openServer()
    const headers = await app.as(root)
    const keyWith = async (scope: string) => {
      const payload = { name: scope, role: 'creator', user: 'ada', scopes: [scope] }
      return (await app.http.inject({ method: 'POST', url: '/v1/admin/keys', headers, payload })).json().token
    }

    const ask = async (token: string) =>
      fetch(`${app.url}/v1/events`, { headers: { authorization: `Bearer ${token}` } })
    const reads = await ask(await keyWith('read'))

    expect(reads.status).toBe(200)
    await reads.body?.cancel()
    expect((await ask(await keyWith('upload'))).status).toBe(403)
  })

  it('go on where the last connection broke, without a gap and without telling twice', async () => {
    const app = await openServer()
    const first = await listen(app, ada)
    await send(app, ada)
    const last = (await first.until(2)).at(-1)!.id
    first.stop()

    const missed = await send(app, ada)
    const second = await listen(app, ada, { last })
    const later = await send(app, ada)

    const told = await second.until(4)
    expect(told.map(({ uploadId, type }) => [uploadId, type])).toEqual([
      [missed, 'upload.created'],
      [missed, 'upload.completed'],
      [later, 'upload.created'],
      [later, 'upload.completed'],
    ])
    // Had one been told twice, it would have come before what is later still.
    await send(app, ada)
    await second.until(6)
    expect(new Set(second.told.map(({ id }) => id)).size).toBe(6)
    expect(second.told).toHaveLength(6)
  })

  it('leave nothing out, however much one has missed', async () => {
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
    const second = await listen(app, ada, { last: first.told.at(-1)!.id })
    await second.until(1202 - first.told.length)

    const ids = [...first.told, ...second.told].map(({ id }) => id)
    expect(ids).toEqual([...new Set(ids)].toSorted((a, b) => a - b))
    expect(ids).toHaveLength(1202)
  })

  it('are told no longer than a token is good', async () => {
    let verdict: () => Actor | null = () => ada
    let looks = 0
    const check = async () => {
      looks += 1
      return verdict()
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
      const answer = await fetch(`http://127.0.0.1:${port}/events`, { headers: { authorization: 'Bearer x' } })
      return { ended: answer.text().then(() => 'ended') }
    }
    // Its token was looked at again and again.
    const stays = async () => {
      const before = looks
      await until(() => looks >= before + 3)
      return 'stays'
    }

    const first = await listenHere()
    expect(await Promise.race([first.ended, stays()])).toBe('stays')
    // Nobody can tell right now: that is no reason to send anybody away.
    verdict = () => {
      throw new UploadError('DATABASE_ERROR', 'The database does not answer.')
    }
    expect(await Promise.race([first.ended, stays()])).toBe('stays')
    verdict = () => null
    expect(await first.ended).toBe('ended')

    verdict = () => ada
    const second = await listenHere()
    verdict = () => bob
    expect(await second.ended).toBe('ended')
  })

  it('are for a bounded number of connections of one user', async () => {
    const app = await openServer()
    const five = await Promise.all(Array.from({ length: 5 }, () => listen(app, ada)))

    const sixth = await listen(app, ada)

    expect([sixth.answer.status, sixth.answer.headers.get('retry-after')]).toEqual([429, '30'])
    expect((await listen(app, bob)).answer.status).toBe(200)
    five[0]!.stop()
    expect(await until(async () => (await listen(app, ada)).answer.status === 200)).toBe(true)
  })

  it('end when the server stops, which does not wait for them', async () => {
    const app = await openServer()
    const mine = await listen(app, ada)

    await app.stop()

    await mine.reading
    expect(mine.isOver()).toBe(true)
  })
})

describe('the feed', () => {
  it('tells an event whose number is lower than one that was told before', async () => {
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
    const told: number[] = []
    const leave = await feed.subscribe(({ id }) => told.push(id))

    await insert(1_000_002)
    await until(() => told.length === 1)
    await insert(1_000_001)
    await until(() => told.length === 2)

    expect(told).toEqual([1_000_002, 1_000_001])
    leave()
  })

  it('asks nothing while nobody listens', async () => {
    vi.useFakeTimers()
    let asked = 0
    const query = async ({ name }: { name: string }) => {
      asked += 1
      return (name === 'feed-newest' ? [{ id: 0 }] : []) as never
    }
    const feed = openFeed({ database: { query }, onError: console.error, everyMs: 10 })
    onTestFinished(() => {
      feed.close()
      vi.useRealTimers()
    })

    await vi.advanceTimersByTimeAsync(50)
    expect(asked).toBe(0)
    const leave = await feed.subscribe(() => {})
    await vi.advanceTimersByTimeAsync(100)
    leave()
    await vi.advanceTimersByTimeAsync(50)
    const before = asked
    await vi.advanceTimersByTimeAsync(1000)

    expect(before).toBeGreaterThan(2)
    expect(asked).toBe(before)
  })
})
