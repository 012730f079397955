import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { createRates } from '../../src/core/policy/rate.ts'
import type { Actor } from '../../src/core/upload.ts'
import { rateLimitKey } from '../../src/http/identity/client-info.ts'
import { ada } from '../support/open-engine.ts'
import { type TestApp, testApp } from '../support/test-app.ts'
import { until } from '../support/until.ts'

const clientAddress = '203.0.113.7'

describe('requests', () => {
  it('of one address are limited per minute, before authentication', async () => {
    const app = await testApp({ REQUESTS_PER_ADDRESS: '5' })
    const requestFrom = (address: string) => app.http.inject({ url: '/v1/me', remoteAddress: address })

    const answers = []
    for (let n = 0; n < 7; n += 1) answers.push(await requestFrom(clientAddress))

    expect(answers.map((answer) => answer.statusCode)).toEqual([401, 401, 401, 401, 401, 429, 429])
    expect(answers[6]!.json().error.code).toBe('RATE_LIMITED')
    expect(Number(answers[6]!.headers['retry-after'])).toBe(12)
    expect((await requestFrom('203.0.113.8')).statusCode).toBe(401)
    expect((await app.http.inject({ url: '/livez', remoteAddress: clientAddress })).statusCode).toBe(200)
  })

  it('of a client on this machine are not counted', async () => {
    const app = await testApp({ REQUESTS_PER_ADDRESS: '1' })

    for (let n = 0; n < 3; n += 1)
      expect((await app.http.inject({ url: '/v1/me', headers: await app.as() })).statusCode).toBe(200)
  })

  it('are counted for the address that a trusted proxy forwards', async () => {
    const app = await testApp({ REQUESTS_PER_ADDRESS: '1', TRUST_PROXY: '10.0.0.0/8' })
    const send = async (remoteAddress: string, forwardedFor: string) =>
      (await app.http.inject({ url: '/v1/me', remoteAddress, headers: { 'x-forwarded-for': forwardedFor } })).statusCode

    expect([await send('10.0.0.1', clientAddress), await send('10.0.0.1', clientAddress)]).toEqual([401, 429])
    expect([await send('10.0.0.1', '203.0.113.8')]).toEqual([401])
    expect([await send('198.51.100.1', '1.1.1.1'), await send('198.51.100.1', '2.2.2.2')]).toEqual([401, 429])
  })

  it.each(['127.0.0.1', '::1', 'unknown', '_hidden', 'x'.repeat(12_000), '203.0.113.9:1234, 127.0.0.1', ',,,', ''])(
    'are counted whatever a client writes into X-Forwarded-For: case %#',
    async (forwardedFor) => {
      const app = await testApp({ REQUESTS_PER_ADDRESS: '2', TRUST_PROXY: 'true' })
      const send = async () =>
        (
          await app.http.inject({
            url: '/v1/me',
            remoteAddress: '10.0.0.1',
            headers: { 'x-forwarded-for': forwardedFor },
          })
        ).statusCode

      expect([await send(), await send(), await send()]).toEqual([401, 401, 429])
    },
  )

  it('are limited per minute on every route', async () => {
    const routes: string[] = []
    const app = await testApp(
      { REQUESTS_PER_ADDRESS: '1' },
      { onRoute: ({ url, method }) => void routes.push(...[method].flat().map((verb) => `${verb} ${url}`)) },
    )
    routes.push('GET /not-there', 'GET /%zz', 'GET /v1/not-there')
    const answers = await Promise.all(
      routes.map(async (route, at) => {
        const [method, path] = route.split(' ') as [string, string]
        const remoteAddress = `198.51.${at >> 8}.${at & 255}`
        const url = path.replace(/:\w+|\*/g, 'x')
        const send = () => app.http.inject({ method: method as 'GET', url, remoteAddress })
        await send()
        return `${route} ${(await send()).statusCode}`
      }),
    )

    expect(answers.length).toBeGreaterThan(40)
    // tus clients give up an upload after any error to HEAD except 423.
    const others = answers.filter((answer) => !answer.endsWith(' 429'))
    expect(others).toEqual(others.filter((answer) => /^HEAD \/files.* 423$/.test(answer)))
  })

  it('for health probes are counted apart from other requests', async () => {
    const app = await testApp({ REQUESTS_PER_ADDRESS: '1' })
    const send = async (url: string) => (await app.http.inject({ url, remoteAddress: clientAddress })).statusCode

    expect([await send('/v1/me'), await send('/v1/me')]).toEqual([401, 429])
    expect([await send('/livez'), await send('/readyz')]).toEqual([200, 429])
  })

  it('of one user are limited by their policy, over all protocols together', async () => {
    const app = await testApp({ POLICIES: '{"creator":{"requestsPerMinute":3}}' })
    const ann = newUser()
    const statuses = []
    for (const url of ['/v1/me', '/files/x', '/v1/uploads', '/v1/me', '/files/x'])
      statuses.push((await app.http.inject({ url, method: 'GET', headers: await app.as(ann) })).statusCode)

    expect(statuses.slice(3)).toEqual([429, 429])
    expect(statuses.slice(0, 3)).not.toContain(429)
    expect((await app.http.inject({ url: '/v1/me', headers: await app.as(newUser()) })).statusCode).toBe(200)
  })

  it('are counted apart for users whose tenant and id look alike when joined', async () => {
    const app = await testApp({ POLICIES: '{"creator":{"requestsPerMinute":1}}' })
    const send = async (tenant: string, id: string) =>
      (await app.http.inject({ url: '/v1/me', headers: await app.as({ id, role: 'creator', tenant }) })).statusCode

    expect([await send('acme', 'west ann'), await send('acme', 'west ann')]).toEqual([200, 429])
    expect(await send('acme west', 'ann')).toBe(200)
  })

  it('beyond the limit at once are refused immediately, except health probes', async () => {
    const app = await testApp({ REQUESTS_AT_ONCE: '1' })
    const held = Promise.withResolvers<void>()
    app.store.fault = (call, at) => (call === 'put' && at === 'before' ? held.promise : undefined)
    const first = upload(app, newUser())
    // The first request now waits for the store.
    await until(() => app.store.calls.includes('put'))

    const second = await app.http.inject({ url: '/v1/me', headers: await app.as() })
    const health = await app.http.inject({ url: '/livez' })

    held.resolve()
    expect(second.statusCode).toBe(503)
    expect(second.headers['retry-after']).toBe('5')
    expect(second.json().error.code).toBe('OVERLOADED')
    expect(health.statusCode).toBe(200)
    expect((await first).statusCode).toBe(201)
    expect((await app.http.inject({ url: '/v1/me', headers: await app.as() })).statusCode).toBe(200)
  })
})

describe('creations', () => {
  it('from one address are limited per minute', async () => {
    const app = await testApp({ CREATIONS_PER_ADDRESS: '2' })

    const statuses = []
    for (let n = 0; n < 3; n += 1) statuses.push((await upload(app, newUser(), clientAddress)).statusCode)

    expect(statuses).toEqual([201, 201, 429])
    expect((await upload(app, newUser(), '203.0.113.8')).statusCode).toBe(201)
  })

  it('with a body beyond the limit of bodies are refused before anything is written', async () => {
    const app = await testApp({ BODIES_AT_ONCE: '1' })
    const held = Promise.withResolvers<void>()
    app.store.fault = (call, at) => (call === 'put' && at === 'before' ? held.promise : undefined)
    const first = upload(app, ada)
    await until(() => app.store.calls.includes('put'))
    const bob = newUser()

    const second = await upload(app, bob)

    held.resolve()
    expect(second.statusCode).toBe(503)
    expect(second.json().error.code).toBe('OVERLOADED')
    expect((await app.http.inject({ url: '/v1/uploads', headers: await app.as(bob) })).json().uploads).toEqual([])
    expect((await first).statusCode).toBe(201)
    expect((await upload(app, bob)).statusCode).toBe(201)
  })
})

describe('the key that requests are counted under', () => {
  it.each([
    ['203.0.113.7', '203.0.113.7'],
    ['::ffff:203.0.113.7', '203.0.113.7'],
    ['127.0.0.1', null],
    ['::ffff:127.0.0.1', null],
    ['::1', null],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:0DB8:0001:0002::9', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['::2', '0:0:0:0::/64'],
  ])('for %s is %s', (address, name) => {
    expect(rateLimitKey({ ip: address })).toBe(name)
  })

  it('is null for a client that has disconnected', () => {
    expect(rateLimitKey({ ip: undefined })).toBe(null)
  })

  it('is never that of this machine because of a forwarded address', () => {
    expect(rateLimitKey({ ip: '127.0.0.1', ips: ['127.0.0.1', '127.0.0.1'] })).toBe('127.0.0.1')
    expect(rateLimitKey({ ip: '::1', ips: ['10.0.0.1', '::1'] })).toBe('0:0:0:0::/64')
  })

  it('is forgotten first if it was unused longest, when there are too many keys', () => {
    const rates = createRates(2)
    rates.count('a', 1, 0)
    rates.count('b', 1, 0)
    expect(rates.count('a', 1, 1)).toBeGreaterThan(0)

    rates.count('c', 1, 2)

    expect(rates.count('a', 1, 3)).toBeGreaterThan(0)
    expect(rates.count('b', 1, 4)).toBe(0)
  })
})

function newUser(): Actor {
  return { id: randomUUID(), role: 'creator', tenant: null, isAdmin: false }
}

async function upload(app: TestApp, actor: Actor, remoteAddress = '127.0.0.1') {
  const headers = {
    ...(await app.as(actor)),
    'tus-resumable': '1.0.0',
    'upload-length': '5',
    'content-type': 'application/offset+octet-stream',
  }
  return app.http.inject({ method: 'POST', url: '/files', headers, payload: 'hello', remoteAddress })
}
