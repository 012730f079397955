import { beforeEach, describe, expect, it } from 'vitest'
import { defaultPolicies } from '../../../src/core/policy/policy.ts'
import type { Actor } from '../../../src/core/upload.ts'
import { writePolicyDocument } from '../../../src/policies/schema.ts'
import { emptyDatabase } from '../../support/empty-database.ts'
import { testDatabase } from '../../support/open-engine.ts'
import { type TestApp, testApp } from '../../support/test-app.ts'

const root: Actor = { id: 'root', role: 'creator', tenant: null, isAdmin: true }
const bob: Actor = { id: 'bob', role: 'member', tenant: null, isAdmin: false }
const builtIn = writePolicyDocument(defaultPolicies)
const small = { ...builtIn, users: { bob: { maxSize: '1 KiB' } } }

beforeEach(async () => emptyDatabase(await testDatabase()))

describe('the policies of a server', () => {
  it('come from the settings at first', async () => {
    const app = await testApp({ POLICIES: '{"member":{"maxSize":"5 GiB"}}' })

    const response = await get(app, '/policies')

    expect(response.headers).toMatchObject({ etag: '"1"', 'cache-control': 'no-store' })
    expect(response.json()).toMatchObject({
      version: 1,
      author: 'the setting POLICIES',
      policies: { roles: { member: { maxSize: '5 GiB', timeToLive: '3 days' } } },
    })
  })

  it('follow the settings until they were changed in another way', async () => {
    await testApp()
    const app = await testApp({ POLICIES: '{"member":{"maxSize":"5 GiB"}}' })
    expect((await get(app, '/policies')).json()).toMatchObject({
      version: 2,
      policies: { roles: { member: { maxSize: '5 GiB' } } },
    })

    await put(app, small, { 'if-match': '"2"' })

    const next = await testApp()
    expect((await get(next, '/policies')).json()).toMatchObject({ version: 3, policies: small })
  })

  it('are changed with a matching If-Match, and are active at once', async () => {
    const app = await testApp()
    expect((await create(app, bob, 2000)).statusCode).toBe(201)

    const response = await put(app, small, { 'if-match': '"1"' }, { note: 'bob is new', applyToActive: false })

    expect(response.statusCode).toBe(200)
    expect(response.headers.etag).toBe('"2"')
    expect(response.json()).toMatchObject({
      version: 2,
      author: 'root',
      note: 'bob is new',
      policies: small,
      changedUploads: 0,
    })
    expect((await create(app, bob, 2000)).json()).toMatchObject({ error: { code: 'FILE_TOO_LARGE' } })
    expect((await create(app, root, 2000)).statusCode).toBe(201)
    const discovered = await app.http.inject({ method: 'GET', url: '/v1/me', headers: await app.as(bob) })
    expect(discovered.json().policy.maxSize).toBe(1024)
  })

  it('lose a role that a change lacks only with removeRoles', async () => {
    const app = await testApp()
    const { creator } = builtIn.roles as Record<string, object>
    const short = { ...builtIn, roles: { creator } }

    const refused = await put(app, short, { 'if-match': '"1"' })
    const checked = await app.http.inject({
      method: 'POST',
      url: '/v1/admin/policies/check',
      headers: await app.as(root),
      payload: { policies: short },
    })

    expect(refused.statusCode).toBe(400)
    expect(refused.json().error.message).toMatch(/^This removes the roles member, subscriber, /)
    expect(checked.json().removedRoles).toEqual(['member', 'subscriber'])
    expect((await get(app, '/policies')).json()).toMatchObject({ version: 1, policies: builtIn })
    const confirmed = await app.http.inject({
      method: 'PUT',
      url: '/v1/admin/policies',
      headers: { ...(await app.as(root)), 'if-match': '"1"' },
      payload: { policies: short, removeRoles: true },
    })
    expect(confirmed.json()).toMatchObject({ version: 2, policies: short })
  })

  it('lose a role by a restore only with removeRoles', async () => {
    const app = await testApp()
    const guest = { maxSize: '1 MiB', mediaTypes: ['image/*'], categories: ['image'], timeToLive: '1 day' }
    await put(app, { ...builtIn, roles: { ...(builtIn.roles as object), guest } }, { 'if-match': '"1"' })
    const restore = async (payload: object) =>
      app.http.inject({
        method: 'POST',
        url: '/v1/admin/policies/versions/1/restore',
        headers: { ...(await app.as(root)), 'if-match': '"2"' },
        payload,
      })

    expect((await restore({})).json().error.message).toContain('removes the roles guest')
    expect((await restore({ removeRoles: true })).statusCode).toBe(200)
  })

  it('are changed in part by PATCH, which removes sections that are null', async () => {
    const app = await testApp()
    const patch = async (policies: object, version: number) =>
      app.http.inject({
        method: 'PATCH',
        url: '/v1/admin/policies',
        headers: { ...(await app.as(root)), 'if-match': `"${version}"` },
        payload: { policies },
      })

    const first = await patch({ roles: { member: { maxSize: '5 GiB' } }, users: { bob: { maxSize: '1 KiB' } } }, 1)
    const second = await patch({ roles: { subscriber: null }, users: { bob: { totalBytes: null } } }, 2)
    const wrong = await patch({ roles: { member: { maxSize: 'huge' } } }, 3)

    const { member, creator } = builtIn.roles as Record<string, object>
    expect(first.json().policies.roles).toEqual({
      ...(builtIn.roles as object),
      member: { ...member, maxSize: '5 GiB' },
    })
    expect(second.json().policies).toMatchObject({ users: { bob: { maxSize: '1 KiB', totalBytes: null } } })
    expect(second.json().policies.roles).toEqual({ creator, member: { ...member, maxSize: '5 GiB' } })
    expect([wrong.statusCode, wrong.json().error.code]).toEqual([400, 'INVALID_FIELD'])
  })

  it('are accepted as GET and `landfall policies show` return them', async () => {
    const app = await testApp()
    const send = async (payload: object, version: number) =>
      app.http.inject({
        method: 'PUT',
        url: '/v1/admin/policies',
        headers: { ...(await app.as(root)), 'if-match': `"${version}"` },
        payload,
      })

    const asRead = await send((await get(app, '/policies')).json(), 1)
    const asPrinted = await send(small, 2)

    expect([asRead.statusCode, asRead.json().policies]).toEqual([200, builtIn])
    expect([asPrinted.statusCode, asPrinted.json().policies]).toEqual([200, small])
  })

  it('are refused with the ETag of an older version', async () => {
    const app = await testApp()
    await put(app, small, { 'if-match': '"1"' })

    const late = await put(app, builtIn, { 'if-match': '"1"' })

    expect(late.statusCode).toBe(412)
    expect(late.json().error.message).toContain('version 2 is active now')
    expect((await get(app, '/policies')).json().policies).toEqual(small)
  })

  it('are changed by one of many requests at once', async () => {
    const app = await testApp()

    const responses = await Promise.all(Array.from({ length: 8 }, () => put(app, small, { 'if-match': '"1"' })))

    expect(responses.map((response) => response.statusCode).toSorted()).toEqual([
      200, 412, 412, 412, 412, 412, 412, 412,
    ])
  })

  it.each([
    [{}, {}, 400, 'INVALID_REQUEST'],
    [{ 'if-match': '*' }, {}, 400, 'INVALID_REQUEST'],
    [{ 'if-match': '"1"' }, { users: { bob: { maxSize: 'huge' } } }, 400, 'INVALID_FIELD'],
  ])('are not changed with the headers %j and the change %j', async (headers, change, status, code) => {
    const app = await testApp()

    const response = await put(app, { ...builtIn, ...change }, headers)

    expect(response.statusCode).toBe(status)
    expect(response.json().error.code).toBe(code)
    expect((await get(app, '/policies')).json().version).toBe(1)
  })

  it.each([
    '/policies/versions/3000000000',
    '/policies/differences?from=3000000000',
    '/policies/versions?before=3000000000',
  ])('answer 400 to a version beyond the largest integer: %s', async (path) => {
    const app = await testApp()

    expect((await get(app, path)).statusCode).toBe(400)
  })

  it('are checked, with path and reason of every problem', async () => {
    const app = await testApp()
    const payload = { policies: { ...builtIn, users: { bob: { maxSize: 'huge', speed: 1 } } } }

    const response = await app.http.inject({
      method: 'POST',
      url: '/v1/admin/policies/check',
      headers: await app.as(root),
      payload,
    })

    expect(response.json()).toMatchObject({ policies: null, version: 1, differences: [] })
    expect(response.json().problems).toEqual([
      expect.stringMatching(/^users\.bob\.maxSize: expected a size/),
      expect.stringMatching(/^users\.bob\.speed: there is no such field/),
    ])
  })

  it('show differences before and after a change', async () => {
    const app = await testApp()
    const { subscriber: _, ...roles } = builtIn['roles'] as Record<string, object>
    const policies = {
      ...small,
      roles: { ...roles, member: { ...roles['member'], maxSize: null }, guest: {} },
      default: { maxSize: '1 MiB', mediaTypes: null, categories: null, timeToLive: null },
      tenants: { 'acme.example': { users: { eve: { totalFiles: 3 } } } },
    }

    const { differences } = (
      await app.http.inject({
        method: 'POST',
        url: '/v1/admin/policies/check',
        headers: await app.as(root),
        payload: { policies },
      })
    ).json()

    expect(differences).toContainEqual({ path: ['roles', 'member', 'maxSize'], before: '2 GiB', after: null })
    expect(differences).toContainEqual({ path: ['roles', 'subscriber', 'maxSize'], before: '200 MiB' })
    expect(differences).toContainEqual({ path: ['roles', 'guest'], after: {} })
    expect(differences).toContainEqual({ path: ['default', 'maxSize'], after: '1 MiB' })
    expect(differences).toContainEqual({ path: ['tenants', 'acme.example', 'users', 'eve', 'totalFiles'], after: 3 })
    expect((await get(app, '/policies')).json().version).toBe(1)
    await put(app, policies, { 'if-match': '"1"' }, { removeRoles: true })
    expect((await get(app, '/policies/differences?from=1')).json()).toEqual({ from: 1, to: 2, differences })
    expect((await get(app, '/policies/differences?from=2&to=2')).json().differences).toEqual([])
    expect((await get(app, '/policies/differences?from=7')).statusCode).toBe(404)
  })

  it('have a history in pages, from which a version can be restored', async () => {
    const app = await testApp()
    await put(app, small, { 'if-match': '"1"' }, { note: 'small' })

    const restored = await app.http.inject({
      method: 'POST',
      url: '/v1/admin/policies/versions/1/restore',
      headers: { ...(await app.as(root)), 'if-match': '"2"' },
      payload: {},
    })

    expect(restored.json()).toMatchObject({ version: 3, note: 'restored version 1', policies: builtIn })
    const page = (await get(app, '/policies/versions?limit=2')).json()
    expect(page.versions.map(({ version }: { version: number }) => version)).toEqual([3, 2])
    expect(page.next).toBe(2)
    const rest = (await get(app, '/policies/versions?limit=2&before=2')).json()
    expect(rest).toMatchObject({ versions: [{ version: 1 }], next: null })
    expect((await get(app, '/policies/versions/2')).json()).toMatchObject({ note: 'small', policies: small })
    expect((await get(app, '/policies/versions/9')).statusCode).toBe(404)
  })

  it('apply to active uploads with applyToActive', async () => {
    const app = await testApp()
    const { location } = (await create(app, bob, 2000)).headers
    const patch = async () =>
      app.http.inject({
        method: 'PATCH',
        url: location as string,
        headers: {
          ...(await app.as(bob)),
          'tus-resumable': '1.0.0',
          'upload-offset': '0',
          'content-type': 'application/offset+octet-stream',
        },
        payload: 'x'.repeat(2000),
      })

    const first = await put(app, { ...small, users: { bob: { timeToLive: '1 hour' } } }, { 'if-match': '"1"' })
    const second = await put(app, small, { 'if-match': '"2"' }, { applyToActive: true })

    expect(first.json().changedUploads).toBe(0)
    expect(second.json().changedUploads).toBe(1)
    expect((await patch()).json()).toMatchObject({ error: { code: 'FILE_TOO_LARGE' } })
  })

  it.each([
    ['GET', '/policies'],
    ['PUT', '/policies'],
    ['POST', '/policies/check'],
    ['GET', '/policies/differences?from=1'],
    ['GET', '/policies/versions'],
    ['GET', '/policies/versions/1'],
    ['POST', '/policies/versions/1/restore'],
    ['POST', '/explain'],
  ] as const)('are refused to users: %s %s', async (method, path) => {
    const app = await testApp()
    const request = (headers: Record<string, string>) => app.http.inject({ method, url: `/v1/admin${path}`, headers })

    expect((await request(await app.as(bob))).statusCode).toBe(403)
    expect((await request({})).statusCode).toBe(401)
  })
})

describe('an explanation', () => {
  it.each([
    [null, true],
    [0, true],
    [1025, false],
  ])('handles a size of %j', async (size, allowed) => {
    const app = await testApp()
    await put(
      app,
      { ...builtIn, users: { bob: { maxSize: '1 KiB', fileNames: { deny: ['file'] } } } },
      { 'if-match': '"1"' },
    )
    const payload = { filename: 'a.png', contentType: 'image/png', size }

    const response = await app.http.inject({ method: 'POST', url: '/v1/explain', headers: await app.as(bob), payload })

    expect(response.json().allowed).toBe(allowed)
  })

  it('shows a user which rule decides about a file', async () => {
    const app = await testApp()
    await put(app, small, { 'if-match': '"1"' })

    const response = await app.http.inject({
      method: 'POST',
      url: '/v1/explain',
      headers: await app.as(bob),
      payload: { filename: 'a.mp4', contentType: 'video/mp4', size: 2000 },
    })

    expect(response.json()).toMatchObject({
      allowed: false,
      decidedBy: 'maxSize',
      why: 'A member may send at most 1 KiB.',
      reasons: [{ rule: 'maxSize', code: 'FILE_TOO_LARGE', from: 'user' }],
      limits: {
        maxSize: { value: '1 KiB', from: 'user' },
        timeToLive: { value: '3 days', from: 'role' },
        totalBytes: { value: '200 GiB', from: 'role' },
        totalFiles: { value: null, from: 'default' },
        categories: { value: ['image', 'video', 'audio', 'document'], from: 'role' },
      },
    })
  })

  it('is given to administrators about any user', async () => {
    const app = await testApp()
    const request = async (payload: object) =>
      (await app.http.inject({ method: 'POST', url: '/v1/admin/explain', headers: await app.as(root), payload })).json()

    expect(await request({ user: 'zoe', role: 'guest' })).toMatchObject({
      allowed: false,
      decidedBy: 'role',
      limits: null,
    })
    expect(await request({ user: 'zoe', role: 'creator', filename: 'a.bin', size: null })).toMatchObject({
      allowed: true,
      decidedBy: null,
      reasons: [],
      limits: { maxSize: { value: '10 GiB', from: 'role' } },
    })
  })
})

async function get(app: TestApp, path: string) {
  return app.http.inject({ url: `/v1/admin${path}`, headers: await app.as(root) })
}

async function put(app: TestApp, policies: object, headers: Record<string, string>, more: object = {}) {
  return app.http.inject({
    method: 'PUT',
    url: '/v1/admin/policies',
    headers: { ...(await app.as(root)), ...headers },
    payload: { policies, ...more },
  })
}

async function create(app: TestApp, actor: Actor, size: number) {
  const type = Buffer.from('image/png').toString('base64')
  return app.http.inject({
    method: 'POST',
    url: '/files',
    headers: {
      ...(await app.as(actor)),
      'tus-resumable': '1.0.0',
      'upload-length': String(size),
      'upload-metadata': `filetype ${type}`,
    },
  })
}
