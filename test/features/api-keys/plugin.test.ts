import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { userOf } from '../../../src/core/upload.ts'
import { type TestApp, testApp } from '../../support/test-app.ts'
import { until } from '../../support/until.ts'

const root = userOf('root', 'creator', { isAdmin: true })
const createKey = { name: 'the importer', role: 'member', scopes: ['upload', 'read'] }

describe('POST /v1/admin/keys', () => {
  it('creates a key that works at once, and shows it once', async () => {
    const app = await testApp()

    const made = await send(app, 'POST', { ...createKey, user: 'ann', tenant: 'acme' })
    const me = await app.http.inject({ url: '/v1/me', headers: bearer(made.json().token) })
    const { keys } = (await send(app, 'GET')).json()

    expect(made.statusCode).toBe(201)
    expect(made.headers['cache-control']).toBe('no-store')
    expect(made.json()).toMatchObject({ ...createKey, user: 'ann', tenant: 'acme', expiresAt: null, createdBy: 'root' })
    expect(me.json()).toMatchObject({ user: 'ann', role: 'member' })
    expect(keys.find((key: { id: string }) => key.id === made.json().id)).not.toHaveProperty('token')
  })

  // A key is stored as a hash, so the answer to the first request cannot be given once more.
  it('repeated after a lost answer makes another key, and the unused one is found', async () => {
    const app = await testApp()
    const name = randomUUID()
    const lost = (await send(app, 'POST', { ...createKey, name })).json()
    const { token } = (await send(app, 'POST', { ...createKey, name })).json()
    const useKey = () => app.http.inject({ url: '/v1/me', headers: bearer(token) })
    await useKey()

    // When a key was used is recorded beside the answer.
    const unused = await until(async () => {
      const keys: { id: string; name: string; lastUsedAt: string | null }[] = (await send(app, 'GET')).json().keys
      const found = keys.filter((key) => key.name === name && key.lastUsedAt === null)
      return found.length < 2 && found.map(({ id }) => id)
    })
    await send(app, 'DELETE', undefined, `/${lost.id}`)

    expect(unused).toEqual([lost.id])
    expect((await useKey()).statusCode).toBe(200)
    expect((await app.http.inject({ url: '/v1/me', headers: bearer(lost.token) })).statusCode).toBe(401)
  })

  it('accepts null for optional fields', async () => {
    const app = await testApp()

    const made = await send(app, 'POST', { ...createKey, user: null, tenant: null, expiresAt: null })

    expect(made.json()).toMatchObject({ user: null, tenant: null, expiresAt: null })
  })

  it.each([
    ['an empty body', {}],
    ['no scope', { ...createKey, scopes: [] }],
    ['an unknown scope', { ...createKey, scopes: ['all'] }],
    ['an invalid role name', { ...createKey, role: 'a role' }],
    ['a user with a line break', { ...createKey, user: 'a\nb' }],
    ['an empty tenant', { ...createKey, tenant: '' }],
    ['a long name', { ...createKey, name: 'x'.repeat(129) }],
    ['an invalid expiry', { ...createKey, expiresAt: 'tomorrow' }],
    ['an expiry in the past', { ...createKey, expiresAt: '2020-01-01T00:00:00Z' }],
  ])('refuses %s', async (_what, body) => {
    const app = await testApp()

    const before = (await send(app, 'GET')).json().keys.length

    const response = await send(app, 'POST', body)

    expect(response.statusCode).toBe(400)
    expect((await send(app, 'GET')).json().keys).toHaveLength(before)
  })
})

it.each(['nonexistent', '__proto__', 'constructor', 'Member'])(
  'refuses a key of the unknown role %s, and lists the roles',
  async (role) => {
    const app = await testApp()
    const before = (await send(app, 'GET')).json().keys.length

    const response = await send(app, 'POST', { ...createKey, role })

    expect([response.statusCode, response.json().error.code]).toEqual([400, 'INVALID_FIELD'])
    expect(response.json().error.message).toMatch(/^There is no role .*\. The roles are .*member.*\.$/)
    expect((await send(app, 'GET')).json().keys).toHaveLength(before)
  },
)

describe('DELETE /v1/admin/keys/:id', () => {
  it('revokes a key at once; revoking again is no error', async () => {
    const app = await testApp()
    const { id, token } = (await send(app, 'POST', createKey)).json()
    expect((await app.http.inject({ url: '/v1/me', headers: bearer(token) })).statusCode).toBe(200)

    const first = await send(app, 'DELETE', undefined, `/${id}`)
    const again = await send(app, 'DELETE', undefined, `/${id}`)

    expect([first.statusCode, again.statusCode]).toEqual([204, 204])
    expect((await app.http.inject({ url: '/v1/me', headers: bearer(token) })).statusCode).toBe(401)
  })

  it('answers 404 for an unknown key, 400 for an invalid id', async () => {
    const app = await testApp()

    const unknown = await send(app, 'DELETE', undefined, '/00000000-0000-4000-8000-000000000000')
    const nonsense = await send(app, 'DELETE', undefined, '/all')

    expect([unknown.statusCode, nonsense.statusCode]).toEqual([404, 400])
  })
})

it('manages keys for admins only, by token or by key', async () => {
  const app = await testApp()
  const adminKey = (await send(app, 'POST', { ...createKey, scopes: ['admin'] })).json().token
  const plainKey = (await send(app, 'POST', { ...createKey, scopes: ['upload', 'read', 'cancel'] })).json().token

  const statusOf = async (headers: Record<string, string>) =>
    (await app.http.inject({ url: '/v1/admin/keys', headers })).statusCode

  expect(await statusOf(bearer(adminKey))).toBe(200)
  expect(await statusOf(bearer(plainKey))).toBe(403)
  expect(await statusOf(await app.as(userOf('ann', 'creator')))).toBe(403)
  expect(await statusOf({})).toBe(401)
})

it('audits with which key a key was created and revoked', async () => {
  const app = await testApp()
  const admin = (await send(app, 'POST', { ...createKey, user: 'ann', tenant: 'acme', scopes: ['admin'] })).json()
  const asAdmin = { headers: bearer(admin.token) }

  const made = await app.http.inject({ method: 'POST', url: '/v1/admin/keys', ...asAdmin, payload: createKey })
  expect(made.json()).toMatchObject({ createdBy: 'ann', createdByKey: admin.id })
  await app.http.inject({ method: 'DELETE', url: `/v1/admin/keys/${made.json().id}`, ...asAdmin })

  const found = await app.http.inject({ url: `/v1/admin/audit?key=${admin.id}`, headers: await app.as(root) })
  const by = { actor: 'ann', tenant: 'acme', role: 'member', target: made.json().id }
  expect(found.json().entries).toMatchObject([
    { ...by, action: 'key.revoke' },
    { ...by, action: 'key.create' },
  ])
})

it('is described in the API', async () => {
  const { http } = await testApp()

  const { paths } = (await http.inject('/docs/json')).json()

  expect(Object.keys(paths['/v1/admin/keys'])).toEqual(['post', 'get'])
  expect(Object.keys(paths['/v1/admin/keys/{id}'])).toEqual(['delete'])
})

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

async function send(app: TestApp, method: 'GET' | 'POST' | 'DELETE', payload?: object, path = '') {
  const request = { method, url: `/v1/admin/keys${path}`, headers: await app.as(root) }
  return app.http.inject(payload === undefined ? request : { ...request, payload })
}
