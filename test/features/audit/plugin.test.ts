import { randomUUID } from 'node:crypto'
import { beforeEach, describe, expect, it } from 'vitest'
import type { Actor } from '../../../src/core/upload.ts'
import { forgetAudit } from '../../../src/features/audit/chain.ts'
import { emptyDatabase } from '../../support/empty-database.ts'
import { testDatabase } from '../../support/open-engine.ts'
import { secret, type TestApp, testApp } from '../../support/test-app.ts'

const root: Actor = { id: 'root', role: 'creator', tenant: null, isAdmin: true }
const ann: Actor = { id: 'ann', role: 'member', tenant: 'acme', isAdmin: false }

beforeEach(async () => emptyDatabase(await testDatabase()))

describe('the audit log', () => {
  it('names who created and who ended an upload, and the address', async () => {
    const app = await testApp()
    const completed = idIn(await create(app, ann, 'hello'))
    const cancelled = idIn(await create(app, ann, '', 10))
    await app.http.inject({
      method: 'DELETE',
      url: `/v1/uploads/${cancelled}`,
      headers: { ...(await app.as(ann)), 'user-agent': 'a phone' },
      ...far,
    })
    const expired = idIn(await create(app, ann, '', 10))
    await (await testDatabase()).executeSql(
      `update upload_sessions set expires_at = '2020-01-01' where id = '${expired}'`,
    )
    await app.engine.expire(expired)

    const entries = await read(app)

    const byAnn = {
      allowed: true,
      actor: 'ann',
      role: 'member',
      tenant: 'acme',
      address: '203.0.113.7',
      agent: 'a phone',
    }
    const byServer = { allowed: true, actor: null, role: null, tenant: 'acme', address: null, agent: null }
    expect(entries.filter(({ action }) => action !== 'policy.change').toReversed()).toMatchObject([
      { action: 'upload.create', upload: completed, ...byAnn },
      { action: 'upload.complete', upload: completed, ...byAnn },
      { action: 'upload.create', upload: cancelled, ...byAnn },
      { action: 'upload.cancel', upload: cancelled, ...byAnn },
      { action: 'upload.create', upload: expired, ...byAnn },
      { action: 'upload.expire', upload: expired, ...byServer },
    ])
  })

  it('has failed uploads and the reason', async () => {
    const app = await testApp({ PART_SIZE: '64KiB' })
    const id = idIn(await create(app, ann, 'x'.repeat(100_000), 200_000))
    app.store.multiparts.clear()
    const headers = { ...(await tusAs(app, ann)), 'upload-offset': '100000' }
    const payload = 'x'.repeat(100_000)
    // The second observation confirms the loss.
    for (const _ of [1, 2]) await app.http.inject({ method: 'PATCH', url: `/files/${id}`, headers, payload, ...far })

    expect(await read(app, `?upload=${id}`)).toMatchObject([
      { action: 'upload.fail', actor: 'ann', note: 'lost' },
      { action: 'upload.create' },
    ])
  })

  it('has changes of the policies with author, version and note', async () => {
    const app = await testApp()
    const { policies } = (await get(app, '/policies')).json()

    await app.http.inject({
      method: 'PUT',
      url: '/v1/admin/policies',
      headers: { ...(await app.as(root)), 'if-match': '"1"' },
      payload: { policies: { ...policies, users: { ann: { maxSize: 1 } } }, note: 'ann sends too much' },
      ...far,
    })

    expect(await read(app, '?action=policy.change')).toMatchObject([
      { target: '2', actor: 'root', address: '203.0.113.7', note: 'ann sends too much' },
      { target: '1', actor: 'the setting POLICIES', address: null },
    ])
  })

  it('keeps what a known user tried on admin routes during a flood of unknown clients', async () => {
    const app = await testApp()
    const eve: Actor = { id: 'eve', role: 'subscriber', tenant: null, isAdmin: false }
    for (let n = 0; n < 150; n += 1)
      await app.http.inject({
        url: '/v1/uploads',
        remoteAddress: `10.${n}.0.1`,
        headers: { authorization: 'Bearer x' },
      })
    await app.http.inject({ url: '/v1/admin/keys', headers: await app.as(eve), ...far })
    await app.http.inject({ url: '/v1/admin/nowhere', headers: {}, ...far })

    await app.http.close()

    const entries = await read(await testApp(), '?allowed=false&limit=200')
    expect(entries.filter(({ actor }) => actor === 'eve')).toMatchObject([
      { code: 'FORBIDDEN', target: 'GET /v1/admin/keys', times: 1 },
    ])
    expect(entries.filter(({ action }) => action === 'audit.drop')).toMatchObject([{ times: 50 }])
  })

  it('has refused requests with user and rule, and counts equal ones in one entry', async () => {
    const app = await testApp()
    const id = idIn(await create(app, ann, 'hello'))
    const eve: Actor = { id: 'eve', role: 'subscriber', tenant: null, isAdmin: false }
    for (let n = 0; n < 3; n += 1) await create(app, eve, '', 1024 ** 4)
    await create(app, eve, '', 10, 'video/mp4')
    await app.http.inject({ url: `/v1/uploads/${id}`, headers: await tusAs(app, eve), ...far })
    await app.http.inject({ url: `/v1/uploads/${id}`, headers: { authorization: 'Bearer nonsense' }, ...far })
    await app.http.inject({ url: '/v1/admin/policies', headers: await tusAs(app, eve), ...far })
    await app.http.inject({
      method: 'PATCH',
      url: `/files/${id}`,
      headers: { ...(await tusAs(app, ann)), 'upload-offset': '3' },
    })

    await app.http.close()

    const entries = await read(await testApp(), '?allowed=false')
    const byEve = {
      action: 'request.refuse',
      actor: 'eve',
      role: 'subscriber',
      address: '203.0.113.7',
      agent: 'a phone',
    }
    expect(entries.toReversed()).toMatchObject([
      { ...byEve, code: 'FILE_TOO_LARGE', rule: 'maxSize', times: 3 },
      { ...byEve, code: 'TYPE_NOT_ALLOWED', rule: 'mediaTypes', times: 1 },
      { ...byEve, code: 'UPLOAD_NOT_FOUND', rule: null, upload: id },
      { action: 'request.refuse', actor: null, code: 'UNAUTHENTICATED', upload: id },
      { ...byEve, code: 'FORBIDDEN' },
    ])
    expect(entries).toHaveLength(5)
    expect(JSON.stringify(entries)).not.toMatch(/nonsense|Bearer|eyJ/)
  })

  it('has who created and revoked a key, and what was done with it', async () => {
    const app = await testApp()
    const admin = { ...(await app.as(root)), 'user-agent': 'a phone' }
    const payload = { name: 'nightly', role: 'member', user: 'ann', tenant: 'acme', scopes: ['upload'] }
    const { id, token } = (
      await app.http.inject({ method: 'POST', url: '/v1/admin/keys', headers: admin, payload, ...far })
    ).json()
    const headers = { authorization: `Bearer ${token}`, 'tus-resumable': '1.0.0', 'upload-length': '0' }
    await app.http.inject({
      method: 'POST',
      url: '/files',
      headers: { ...headers, 'upload-metadata': picture },
      ...far,
    })
    for (let n = 0; n < 2; n += 1)
      await app.http.inject({ method: 'DELETE', url: `/v1/admin/keys/${id}`, headers: admin, ...far })

    const byRoot = { actor: 'root', target: id, note: 'nightly', address: '203.0.113.7', agent: 'a phone' }
    expect((await read(app)).filter(({ action }) => String(action).startsWith('key.'))).toMatchObject([
      { action: 'key.revoke', ...byRoot },
      { action: 'key.create', ...byRoot },
    ])
    expect(await read(app, `?key=${id}`)).toMatchObject([
      { action: 'upload.complete', actor: 'ann', tenant: 'acme', key: id },
      { action: 'upload.create', actor: 'ann', tenant: 'acme', key: id },
    ])
    expect(JSON.stringify(await read(app))).not.toContain(token)
  })

  it('is read with filters, in pages without gaps', async () => {
    const app = await testApp()
    for (let n = 0; n < 3; n += 1) await create(app, { ...ann, id: randomUUID() }, 'hello')

    const ids: number[] = []
    for (let before = ''; ; ) {
      const { entries, next } = (await get(app, `/audit?limit=2&action=upload.create${before}`)).json()
      ids.push(...entries.map((entry: { id: number }) => entry.id))
      if (next === null) break
      before = `&before=${next}`
    }

    expect(ids).toHaveLength(3)
    expect(ids).toEqual(ids.toSorted((a, b) => b - a))
    expect(await read(app, '?tenant=acme&action=upload.complete&address=203.0.113.7')).toHaveLength(3)
    expect(await read(app, '?since=2100-01-01T00:00:00Z')).toEqual([])
    expect(await read(app, '?until=2100-01-01T00:00:00Z')).toHaveLength(7)
    expect((await get(app, '/audit?upload=nonsense')).statusCode).toBe(400)
    expect((await get(app, '/audit?since=yesterday')).statusCode).toBe(400)
  })

  it.each([
    ['since=2020-01-01T00:00:00%2B23:59', 200],
    ['until=2020-01-01T00:00:00-23:59', 200],
    ['since=0000-01-01T00:00:00Z', 400],
  ])('answers the time filter %s with %i', async (query, status) => {
    const app = await testApp()

    const response = await app.http.inject({ url: `/v1/admin/audit?${query}`, headers: await app.as(root) })

    expect(response.statusCode).toBe(status)
  })

  it('is refused to users', async () => {
    const app = await testApp()

    expect((await app.http.inject({ url: '/v1/admin/audit', headers: await app.as(ann) })).statusCode).toBe(403)
  })

  it.each([
    `update audit_log set actor = 'mallory'`,
    `delete from audit_log`,
    `truncate audit_log`,
    `update policy_versions set author = 'mallory'`,
    `delete from policy_versions`,
    `truncate policy_versions`,
  ])('cannot be changed: %s', async (statement) => {
    await testApp()

    await expect((await testDatabase()).executeSql(statement)).rejects.toThrow('append-only')
  })

  it('removes entries older than AUDIT_RETENTION, and no others', async () => {
    const database = await testDatabase()
    await database.executeSql(
      `insert into audit_log (at, action, is_allowed) values (now() - interval '10 days', 'upload.create', true), (now(), 'upload.cancel', true)`,
    )
    const app = await testApp()

    await forgetAudit(database, secret, 0)
    const before = await read(app)
    await forgetAudit(database, secret, 86_400_000)

    expect(before).toHaveLength(3)
    expect((await read(app)).map((entry) => entry['action'])).toEqual(['policy.change', 'upload.cancel'])
    await expect(database.executeSql('delete from audit_log')).rejects.toThrow('append-only')
  })
})

const picture = `filetype ${Buffer.from('image/png').toString('base64')}`
const far = { remoteAddress: '203.0.113.7' }

async function tusAs(app: TestApp, actor: Actor) {
  return {
    ...(await app.as(actor)),
    'tus-resumable': '1.0.0',
    'content-type': 'application/offset+octet-stream',
    'user-agent': 'a phone',
  }
}

async function create(app: TestApp, actor: Actor, payload: string, size = payload.length, type = 'image/png') {
  const headers = {
    ...(await tusAs(app, actor)),
    'upload-length': String(size),
    'upload-metadata': `filetype ${Buffer.from(type).toString('base64')}`,
  }
  return app.http.inject({ method: 'POST', url: '/files', headers, payload, ...far })
}

function idIn(response: { headers: Record<string, unknown> }): string {
  return String(response.headers['location']).split('/').at(-1)!
}

async function get(app: TestApp, path: string) {
  return app.http.inject({ url: `/v1/admin${path}`, headers: await app.as(root) })
}

async function read(app: TestApp, query = ''): Promise<Record<string, unknown>[]> {
  return (await get(app, `/audit${query}`)).json().entries
}
