import { randomUUID } from 'node:crypto'
import { beforeEach, describe, expect, it } from 'vitest'
import type { Actor } from '../../../src/core/upload.ts'
import { emptyDatabase } from '../../support/empty-database.ts'
import { testDatabase } from '../../support/open-engine.ts'
import { type TestApp, testApp } from '../../support/test-app.ts'

const root: Actor = { id: 'root', role: 'creator', tenant: null, isAdmin: true }

beforeEach(async () => emptyDatabase(await testDatabase()))

describe('GET /v1/usage', () => {
  it('returns the usage and the limits of the user', async () => {
    const app = await testApp({ POLICIES: '{"creator":{"totalBytes":"1 KiB","uploadsAtOnce":3}}' })
    const ann = newUser()
    await create(app, ann, 'hello')
    await create(app, ann, 'hel', 10)

    const response = await app.http.inject({ url: '/v1/usage', headers: await app.as(ann) })

    expect(response.json()).toEqual({
      reservedBytes: 10,
      storedBytes: 5,
      storedFiles: 1,
      openUploads: 1,
      dayBytes: 15,
      dayFiles: 2,
      limits: {
        totalBytes: 1024,
        uploadsAtOnce: 3,
        totalFiles: null,
        bytesPerDay: 500 * 1024 ** 3,
        filesPerDay: 100_000,
        creationsPerMinute: null,
      },
    })
  })

  it('frees the quota of a deleted file', async () => {
    const app = await testApp({ POLICIES: '{"creator":{"totalFiles":1}}' })
    const ann = newUser()
    const first = await create(app, ann, 'hello')
    const refused = await create(app, ann, 'again')

    await app.http.inject({ method: 'DELETE', url: `/v1/uploads/${idIn(first)}`, headers: await app.as(ann) })

    expect(refused.statusCode).toBe(403)
    expect(refused.json()).toMatchObject({
      error: { code: 'QUOTA_EXCEEDED', message: 'You may have at most 1 files.' },
    })
    expect((await create(app, ann, 'again')).statusCode).toBe(201)
  })

  it('keeps counting the bytes of a cancelled file, also of parts out of order', async () => {
    const app = await testApp({ POLICIES: '{"creator":{"bytesPerDay":"1 MiB","partSize":"64 KiB"}}' })
    const headers = await app.as(newUser())
    const create = () => {
      const payload = { file_name: 'a.bin', total_size: 1024 ** 2 }
      return app.http.inject({ method: 'POST', url: '/v1/uploads/init', headers, payload })
    }
    const url = `/v1/uploads/${(await create()).json().upload_id}`
    const chunk = { ...headers, 'x-chunk-index': '1', 'content-type': 'application/octet-stream' }
    const sent = await app.http.inject({
      method: 'PUT',
      url: `${url}/chunk`,
      headers: chunk,
      payload: Buffer.alloc(65_536, 7),
    })

    await app.http.inject({ method: 'DELETE', url, headers })

    expect(sent.statusCode).toBe(200)
    expect((await app.http.inject({ url: '/v1/usage', headers })).json()).toMatchObject({ dayBytes: 65_536 })
    expect((await create()).json()).toMatchObject({ error: { code: 'QUOTA_EXCEEDED' } })
  })

  it('answers FILE_TOO_LARGE, not a retry, to a role that may send nothing', async () => {
    const app = await testApp({ POLICIES: '{"creator":{"maxSize":0}}' })
    const headers = { ...(await app.as(newUser())), 'tus-resumable': '1.0.0', 'upload-defer-length': '1' }

    const refused = await app.http.inject({ method: 'POST', url: '/files', headers })

    expect(refused.json()).toMatchObject({ error: { code: 'FILE_TOO_LARGE' } })
  })

  it('sends Retry-After when a retry helps', async () => {
    const app = await testApp({ POLICIES: '{"creator":{"creationsPerMinute":1}}' })
    const ann = newUser()
    await create(app, ann, 'hello')

    const refused = await create(app, ann, 'again')

    expect(refused.statusCode).toBe(429)
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(50)
    expect(refused.json().error.code).toBe('RATE_LIMITED')
  })
})

describe('GET /v1/admin/usage', () => {
  it('lists all users, largest first, in pages without gaps', async () => {
    const app = await testApp()
    const actors = [3, 1, 2, 2].map((size, n) => ({ ...newUser(), tenant: n === 3 ? 'acme' : null, size }))
    for (const { size, ...actor } of actors) await create(app, actor, 'x'.repeat(size))

    const listed: { user: string; storedBytes: number }[] = []
    for (let after = ''; ; ) {
      const { users, next } = (await get(app, `?limit=2${after}`)).json()
      listed.push(...users)
      if (next === null) break
      after = `&after=${next}`
    }

    expect(listed.map((one) => one.storedBytes)).toEqual([3, 2, 2, 1])
    expect(new Set(listed.map((one) => one.user)).size).toBe(4)
    expect((await get(app, '?tenant=acme')).json().users).toMatchObject([{ user: actors[3]!.id, tenant: 'acme' }])
    expect((await get(app, `?user=${actors[0]!.id}`)).json().users).toMatchObject([{ storedBytes: 3, storedFiles: 1 }])
    expect((await get(app, '?after=nonsense')).statusCode).toBe(400)
  })

  it('returns limits by the role of the newest upload', async () => {
    const policies = { creator: { totalBytes: 1000 }, member: { mediaTypes: null, categories: null, totalBytes: 50 } }
    const app = await testApp({ POLICIES: JSON.stringify(policies) })
    const ann = newUser()
    await create(app, ann, 'hello')
    const bob = { ...newUser(), role: 'member', tenant: 'acme' }
    await create(app, bob, 'hell')
    await create(app, { ...ann, role: 'member' }, 'hel')

    const { users } = (await get(app, '')).json()

    expect(users).toMatchObject([
      { user: ann.id, tenant: null, role: 'member', storedBytes: 8, limits: { totalBytes: 50 } },
      { user: bob.id, tenant: 'acme', role: 'member', storedBytes: 4, limits: { totalBytes: 50 } },
    ])
    expect((await get(await testApp({ POLICIES: '{"member":null}' }), '')).json().users[0].limits).toBe(null)
  })

  it('is refused to users', async () => {
    const app = await testApp()

    expect((await app.http.inject({ url: '/v1/admin/usage', headers: await app.as(newUser()) })).statusCode).toBe(403)
  })
})

function newUser(): Actor {
  return { id: randomUUID(), role: 'creator', tenant: null, isAdmin: false }
}

async function get(app: TestApp, query: string) {
  return app.http.inject({ url: `/v1/admin/usage${query}`, headers: await app.as(root) })
}

/** A file of `size` bytes, of which `payload` is sent. */
async function create(app: TestApp, actor: Actor, payload: string, size = payload.length) {
  const headers = {
    ...(await app.as(actor)),
    'tus-resumable': '1.0.0',
    'upload-length': String(size),
    'content-type': 'application/offset+octet-stream',
  }
  return app.http.inject({ method: 'POST', url: '/files', headers, payload })
}

function idIn(response: { headers: Record<string, unknown> }): string {
  return String(response.headers['location']).split('/').at(-1)!
}
