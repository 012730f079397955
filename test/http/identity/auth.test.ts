import Fastify from 'fastify'
import { SignJWT } from 'jose'
import { describe, expect, it, onTestFinished } from 'vitest'
import { userOf } from '../../../src/core/upload.ts'
import { answerErrors } from '../../../src/http/errors.ts'
import { authPlugin, type TokenCheck } from '../../../src/http/identity/auth.ts'
import { secretCheck, signToken } from '../../../src/http/identity/secret.ts'

const secret = 'a secret that is long enough for HS256'
const ann = userOf('ann', 'member')

describe('a bearer token', () => {
  it('identifies the user', async () => {
    const app = await appWithAuth()

    const answer = await app.inject({ url: '/actor', headers: await bearer(signToken(secret, ann, 60)) })

    expect(answer.json()).toMatchObject(ann)
  })

  it('may name a user in any script, up to 128 characters', async () => {
    const app = await appWithAuth()
    const actor = userOf('Zoë Ångström 山田'.padEnd(128, '.'), 'member')

    const answer = await app.inject({ url: '/actor', headers: await bearer(signToken(secret, actor, 60)) })

    expect(answer.json()).toMatchObject(actor)
  })

  it('may name a tenant and mark an admin', async () => {
    const app = await appWithAuth()
    const actor = userOf('ann', 'member', { tenant: 'acme', isAdmin: true })

    const answer = await app.inject({ url: '/actor', headers: await bearer(signToken(secret, actor, 60)) })

    expect(answer.json()).toMatchObject(actor)
  })

  it('marks an admin only with `true` and not with similar values', async () => {
    const app = await appWithAuth()
    const token = sign({ sub: 'ann', role: 'member', tenant: '', admin: 'true' })

    const answer = await app.inject({ url: '/actor', headers: await bearer(token) })

    expect(answer.json()).toMatchObject(ann)
  })

  it.each([
    ['no header', {}],
    ['another scheme', { authorization: 'Basic YTpi' }],
    ['no token', { authorization: 'Bearer ' }],
    ['nonsense', { authorization: 'Bearer abc.def.ghi' }],
    ['another secret', bearer(signToken(secret.toUpperCase(), ann, 60))],
    ['an exp in the past', bearer(signToken(secret, ann, -60))],
    ['no user', bearer(sign({ role: 'member' }))],
    ['an empty user', bearer(sign({ sub: '', role: 'member' }))],
    ['a user of 129 characters', bearer(sign({ sub: 'a'.repeat(129), role: 'member' }))],
    ['a user with a line break', bearer(sign({ sub: 'a\nb', role: 'member' }))],
    ['a user with the prefix of API keys', bearer(sign({ sub: 'key:1', role: 'member' }))],
    ['a tenant that is a list', bearer(sign({ sub: 'ann', role: 'member', tenant: ['acme'] }))],
    ['no role', bearer(sign({ sub: 'ann' }))],
    ['a role that is a list', bearer(sign({ sub: 'ann', role: ['member'] }))],
    ['no signature', { authorization: `Bearer ${unsigned({ sub: 'ann', role: 'member' })}` }],
  ])('is refused with %s', async (_what, headers) => {
    const app = await appWithAuth()

    const answer = await app.inject({ url: '/actor', headers: await headers })

    expect(answer.statusCode).toBe(401)
    expect(answer.headers['www-authenticate']).toMatch(/^Bearer/)
    expect(answer.json().error.code).toBe('UNAUTHENTICATED')
  })

  it('is not required for OPTIONS, because browsers send none with it', async () => {
    const app = await appWithAuth()

    expect((await app.inject({ method: 'OPTIONS', url: '/actor' })).statusCode).toBe(204)
  })

  it('is checked before the body is read', async () => {
    const app = await appWithAuth()

    const answer = await app.inject({
      method: 'POST',
      url: '/actor',
      payload: '{',
      headers: { 'content-type': 'application/json' },
    })

    expect(answer.statusCode).toBe(401)
  })
})

it('further checks accept tokens that the first does not know', async () => {
  const app = await appWithAuth([async (token) => (token === 'key-of-bob' ? userOf('bob', 'creator') : null)])

  const byKey = await app.inject({ url: '/actor', headers: { authorization: 'Bearer key-of-bob' } })
  const byToken = await app.inject({ url: '/actor', headers: await bearer(signToken(secret, ann, 60)) })

  expect([byKey.json().id, byToken.json().id]).toEqual(['bob', 'ann'])
})

it('a route outside the scope has no actor', async () => {
  const app = Fastify()
  onTestFinished(() => app.close())
  answerErrors(app)
  await app.register(async (scope) => {
    await scope.register(authPlugin, { checks: [secretCheck(secret)] })
    scope.get('/inside', async ({ actor }) => actor)
  })
  app.get('/outside', async () => 'open')

  expect((await app.inject('/outside')).statusCode).toBe(200)
  expect((await app.inject('/inside')).statusCode).toBe(401)
})

async function appWithAuth(more: TokenCheck[] = []) {
  const app = Fastify()
  onTestFinished(() => app.close())
  answerErrors(app)
  await app.register(authPlugin, { checks: [secretCheck(secret), ...more] })
  app.get('/actor', async ({ actor }) => actor)
  app.post('/actor', async ({ actor }) => actor)
  app.options('/actor', async (_request, reply) => reply.code(204).send())
  return app
}

function sign(claims: Record<string, unknown>): Promise<string> {
  return new SignJWT({ exp: Math.floor(Date.now() / 1000) + 60, ...claims })
    .setProtectedHeader({ alg: 'HS256' })
    .sign(Buffer.from(secret))
}

function unsigned(claims: Record<string, unknown>): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  return `${part({ alg: 'none' })}.${part(claims)}.`
}

async function bearer(token: Promise<string>) {
  return { authorization: `Bearer ${await token}` }
}
