import { randomUUID } from 'node:crypto'
import { beforeEach, describe, expect, it } from 'vitest'
import { type Actor, userOf } from '../../../src/core/upload.ts'
import { emptyDatabase } from '../../support/empty-database.ts'
import { unavailable } from '../../support/memory-store.ts'
import { bodyOf, testDatabase } from '../../support/open-engine.ts'
import { type TestApp, testApp } from '../../support/test-app.ts'

const root = userOf('root', 'creator', { isAdmin: true })
const ann = userOf('ann', 'creator', { tenant: 'acme' })
const bob = userOf('bob', 'member')

beforeEach(async () => emptyDatabase(await testDatabase()))

describe('the uploads of all owners', () => {
  it('are listed with owner and progress, newest first, in pages without gaps', async () => {
    const app = await testApp()
    const created: string[] = []
    for (let n = 0; n < 7; n += 1) created.unshift(await create(app, n % 2 === 0 ? ann : bob, { filename: `${n}.txt` }))

    const ids: string[] = []
    let next: string | null = null
    do {
      const page: { uploads: { id: string }[]; next: string | null } = (
        await get(app, `?limit=3${next ? `&before=${next}` : ''}`)
      ).json()
      ids.push(...page.uploads.map(({ id }) => id))
      next = page.next
    } while (next)

    expect(ids).toEqual(created)
    expect((await get(app, '?limit=1')).json().uploads).toEqual([
      expect.objectContaining({
        user: 'ann',
        tenant: 'acme',
        role: 'creator',
        filename: '6.txt',
        size: 5,
        received: 0,
        state: 'receiving',
        live: false,
      }),
    ])
  })

  it.each([
    ['state=completed', ['done.png']],
    ['state=receiving', ['Notes 100%.txt', 'half.txt']],
    ['state=finishing', []],
    ['role=member', ['Notes 100%.txt']],
    ['user=ann', ['half.txt', 'done.png']],
    ['tenant=acme', ['half.txt', 'done.png']],
    ['tenant=', ['Notes 100%.txt']],
    ['tenant=globex&user=ann', []],
    ['text=100%25', ['Notes 100%.txt']],
    ['text=NOTES', ['Notes 100%.txt']],
    ['text=_', []],
    ['since=2000-01-01T00:00:00Z&until=2100-01-01T00:00:00Z', ['Notes 100%.txt', 'half.txt', 'done.png']],
    ['until=2000-01-01T00:00:00Z', []],
    ['live=true', []],
    ['live=false', ['Notes 100%.txt', 'half.txt', 'done.png']],
  ])('are found by %s', async (query, names) => {
    const app = await testApp()
    await send(app, ann, await create(app, ann, { filename: 'done.png', contentType: 'application/octet-stream' }))
    await send(app, ann, await create(app, ann, { filename: 'half.txt' }), 'he')
    await create(app, bob, { filename: 'Notes 100%.txt' })

    const { uploads } = (await get(app, `?${query}`)).json()

    expect(uploads.map(({ filename }: { filename: string }) => filename)).toEqual(names)
  })

  it.each([
    ['since=2020-01-01T00:00:00%2B23:59', 200],
    ['until=2020-01-01T00:00:00-23:59', 200],
    ['since=0000-01-01T00:00:00Z', 400],
  ])('answer the time filter %s with %i', async (query, status) => {
    const app = await testApp()

    const response = await app.http.inject({ url: `/v1/admin/uploads?${query}`, headers: await app.as(root) })

    expect(response.statusCode).toBe(status)
  })

  it('are found by the beginning of their id', async () => {
    const app = await testApp()
    const id = await create(app, ann)
    await create(app, ann)

    const { uploads } = (await get(app, `?text=${id.slice(0, 13).toUpperCase()}`)).json()

    expect(uploads.map((upload: { id: string }) => upload.id)).toEqual([id])
  })

  it('show the bytes received of numbered parts that arrived out of order', async () => {
    const app = await testApp({ CHUNK_SIZE: '5MiB' })
    const size = 11 * 1024 ** 2
    const creation = { filename: 'a.bin', contentType: 'application/octet-stream', size, kind: 'parted' as const }
    const { id, partSize } = await app.engine.create(ann, creation)
    const last = Buffer.alloc(size - 2 * partSize, 1)
    await app.engine.uploadPart(ann, id, { number: 3, body: bodyOf(last), bodySize: last.length })

    const { uploads } = (await get(app, '')).json()

    expect(uploads).toMatchObject([{ id, received: last.length }])
  })

  it('are live while a server holds their lease', async () => {
    const app = await testApp()
    const id = await create(app, ann)
    const database = await testDatabase()
    const statement = `update upload_sessions set lease_token = $2, lease_until = now() + interval '1 minute' where id = $1`
    await database.query({ name: 'test-hold', text: statement }, [id, randomUUID()])

    expect((await get(app, '?live=true')).json().uploads).toMatchObject([{ id, live: true }])
    expect((await app.http.inject({ url: '/v1/admin/summary', headers: await app.as(root) })).json()).toMatchObject({
      open: [{ state: 'receiving', role: 'creator', count: 1, live: 1 }],
      reservedBytes: 5,
      users: 1,
    })
  })
})

describe('one upload', () => {
  it('has all its fields, and a timeline in order', async () => {
    const app = await testApp()
    const id = await create(app, ann, { filename: 'done.bin', contentType: 'application/octet-stream' })
    await send(app, ann, id)

    const { upload, timeline } = (await get(app, `/${id}`)).json()

    expect(upload).toMatchObject({
      id,
      state: 'completed',
      kind: 'sequential',
      partial: false,
      received: 5,
      maxSize: 10 * 1024 ** 3,
      parts: 0,
      reserved: 5,
    })
    expect(timeline.map(({ source, what, actor }: Entry) => [source, what, actor])).toEqual([
      ['audit', 'upload.create', 'ann'],
      ['event', 'upload.created', null],
      ['audit', 'upload.complete', 'ann'],
      ['event', 'upload.completed', null],
    ])
  })

  it.each(['not-an-id', randomUUID()])('is not found by the id %s', async (id) => {
    const app = await testApp()

    for (const response of [await get(app, `/${id}`), await post(app, id, 'cancel'), await post(app, id, 'finish')])
      expect(response.json().error.code).toBe('UPLOAD_NOT_FOUND')
  })

  it('is cancelled by an admin, whom the timeline names', async () => {
    const app = await testApp()
    const id = await create(app, ann)
    await send(app, ann, id, 'he')

    const response = await post(app, id, 'cancel')

    expect(response.statusCode).toBe(200)
    expect(response.json().upload).toMatchObject({ state: 'cancelled' })
    expect(response.json().timeline.map(({ what, actor }: Entry) => [what, actor])).toEqual([
      ['upload.create', 'ann'],
      ['upload.created', null],
      ['upload.cancel', 'root'],
      ['upload.cancelled', null],
    ])
    expect([...app.store.objects]).toEqual([])
    expect((await post(app, id, 'cancel')).json().error.code).toBe('UPLOAD_GONE')
  })

  it('is expired by an admin, which frees the quota of its owner', async () => {
    const app = await testApp({ POLICIES: '{"creator":{"totalBytes":5}}' })
    const id = await create(app, ann)

    const { upload, timeline } = (await post(app, id, 'expire')).json()

    expect(upload).toMatchObject({ state: 'expired' })
    expect(timeline.at(-2)).toMatchObject({ what: 'upload.expire', actor: 'root', allowed: true })
    await create(app, ann)
    expect((await post(app, id, 'expire')).json().error.code).toBe('UPLOAD_EXPIRED')
  })

  it('is not expired when it is complete', async () => {
    const app = await testApp()
    const id = await create(app, ann)
    await send(app, ann, id)

    expect((await post(app, id, 'expire')).json().error.code).toBe('UPLOAD_COMPLETED')
    expect(app.store.objects.size).toBe(1)
  })

  it('is completed by an admin when all bytes have arrived, and not before', async () => {
    const app = await testApp()
    const id = await create(app, ann)
    await send(app, ann, id, 'he')
    const early = await post(app, id, 'finish')
    await app.engine.append(ann, id, { offset: 2, body: bodyOf(Buffer.from('llo')), bodySize: 3, ending: 'later' })

    const response = await post(app, id, 'finish')
    await app.engine.drained()

    expect(early.json().error.code).toBe('LENGTH_MISMATCH')
    expect(response.json().upload).toMatchObject({ state: 'completed' })
    expect(response.json().timeline.at(-2)).toMatchObject({ what: 'upload.complete', actor: 'root' })
    expect([...app.store.objects.values()].map(String)).toEqual(['hello'])
    expect((await post(app, id, 'finish')).statusCode).toBe(200)
  })

  it('is completed once the store works again, and not expired meanwhile', async () => {
    const app = await testApp()
    const id = await create(app, ann)
    app.store.fault = (call, _at, key) => {
      if (call === 'put' && !key.startsWith('.landfall')) throw unavailable()
    }
    await app.engine.append(ann, id, { offset: 0, body: bodyOf(Buffer.from('hello')), bodySize: 5, ending: 'later' })
    expect((await post(app, id, 'finish')).statusCode).toBe(503)
    expect((await get(app, `/${id}`)).json().upload.state).toBe('finishing')
    expect((await post(app, id, 'expire')).statusCode).toBe(503)

    app.store.fault = () => {}

    expect((await post(app, id, 'finish')).json().upload.state).toBe('completed')
  })

  it.each(['cancel', 'finish', 'expire'])('refuses the admin action %s to its owner', async (action) => {
    const app = await testApp()
    const id = await create(app, ann)

    expect((await post(app, id, action, ann)).statusCode).toBe(403)
    expect((await app.engine.get(ann, id)).state).toBe('receiving')
  })

  it('is completed and expired by admins only, also through the engine', async () => {
    const app = await testApp()
    const id = await create(app, ann)

    for (const action of ['completeAsAdmin', 'expireAsAdmin'] as const) {
      await expect(app.engine[action](ann, id)).rejects.toMatchObject({ code: 'FORBIDDEN' })
      await expect(app.engine[action](bob, id)).rejects.toMatchObject({ code: 'UPLOAD_NOT_FOUND' })
    }
  })
})

interface Entry {
  source: string
  what: string
  actor: string | null
}

async function create(app: TestApp, actor: Actor, more: { filename?: string; contentType?: string } = {}) {
  const creation = { filename: 'a.txt', contentType: 'text/plain', size: 5, ...more }
  return (await app.engine.create(actor, creation)).id
}

async function send(app: TestApp, actor: Actor, id: string, text = 'hello') {
  const body = { body: bodyOf(Buffer.from(text)), bodySize: text.length }
  await app.engine.append(actor, id, { ...body, offset: 0, ending: 'at-size' })
}

async function get(app: TestApp, path: string) {
  return app.http.inject({ url: `/v1/admin/uploads${path}`, headers: await app.as(root) })
}

async function post(app: TestApp, id: string, action: string, actor: Actor = root) {
  return app.http.inject({ method: 'POST', url: `/v1/admin/uploads/${id}/${action}`, headers: await app.as(actor) })
}
