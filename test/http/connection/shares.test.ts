import type { AddressInfo } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createShares } from '../../../src/http/connection/shares.ts'
import { trustedProxies } from '../../../src/http/connection/trusted-proxies.ts'
import { openRaw, type RawConnection } from '../../support/raw-http.ts'
import { testApp } from '../../support/test-app.ts'

describe('the share of a network', () => {
  it.each([
    ['an address', ['203.0.113.7', '203.0.113.7'], '203.0.113.7', '203.0.113.8'],
    ['an address in both spellings', ['203.0.113.7', '::ffff:203.0.113.7'], '203.0.113.7', '203.0.113.8'],
    ['a /24', ['203.0.113.1', '203.0.113.2', '203.0.113.3', '203.0.113.4'], '203.0.113.5', '203.0.114.5'],
    ['a /64', ['2001:db8:1:2::1', '2001:db8:1:2::2'], '2001:db8:1:2:3::9', '2001:db8:1:3::1'],
    [
      'a /48',
      ['2001:db8:1:1::1', '2001:db8:1:2::1', '2001:db8:1:3::1', '2001:db8:1:4::1'],
      '2001:db8:1:5::1',
      '2001:db8:2::1',
    ],
  ])('is used up by its connections and leaves those of others: %s', (_what, taken, refused, other) => {
    const shares = createShares(2)

    const releases = taken.map((address) => shares.take(address))

    expect(releases).not.toContain(null)
    expect(shares.take(refused)).toBe(null)
    expect(shares.take(other)).not.toBe(null)
    releases[0]!()
    releases[0]!()
    expect(shares.take(refused)).not.toBe(null)
    expect(shares.take(refused)).toBe(null)
  })
})

describe('connections', () => {
  it('of loopback clients never take all', async () => {
    const app = await testApp({ CONNECTIONS_AT_ONCE: '4' })
    await app.http.listen({ host: '127.0.0.1', port: 0 })
    const { port } = app.http.server.address() as AddressInfo
    const first = await Promise.all([open(port), open(port), open(port)])

    const refused = await open(port)
    await refused.closed()
    first[0]!.cut()

    // The server notices the end of a connection with a delay, so the test tries again.
    let answer = null
    while (answer === null) {
      const next = await open(port)
      await next.send('GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
      answer = await next.answer()
    }
    expect(answer.status).toBe(200)
  })

  it('of a trusted proxy do not count for the share of its address', async () => {
    const app = await testApp({ CONNECTIONS_AT_ONCE: '4', TRUST_PROXY: '127.0.0.0/8' })
    await app.http.listen({ host: '127.0.0.1', port: 0 })
    const { port } = app.http.server.address() as AddressInfo
    await Promise.all([open(port), open(port), open(port)])

    const fourth = await open(port)
    await fourth.send('GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')

    expect((await fourth.answer())?.status).toBe(200)
  })

  it('behind a proxy are limited by requests at once per address', async () => {
    const app = await testApp({ CONNECTIONS_PER_ADDRESS: '1', TRUST_PROXY: '10.0.0.0/8' })
    const held = Promise.withResolvers<void>()
    const storing = Promise.withResolvers<void>()
    app.store.fault = (call, at) => {
      if (call !== 'put' || at !== 'before') return
      storing.resolve()
      return held.promise
    }
    const as = await app.as()
    const from = (address: string) => ({ remoteAddress: '10.0.0.1', headers: { ...as, 'x-forwarded-for': address } })
    const first = from('203.0.113.7')
    const sending = app.http.inject({ ...first, method: 'PUT', url: '/v1/files/a.txt', payload: 'hello' })
    await storing.promise

    const second = await app.http.inject({ ...first, url: '/v1/me' })
    const other = await app.http.inject({ ...from('198.51.100.7'), url: '/v1/me' })
    held.resolve()
    await sending
    const third = await app.http.inject({ ...first, url: '/v1/me' })

    expect([second.statusCode, second.json().error.code]).toEqual([503, 'OVERLOADED'])
    expect([other.statusCode, third.statusCode]).toEqual([200, 200])
  })
})

it.each([
  [['10.0.0.0/8'], '10.1.2.3', true],
  [['10.0.0.0/8'], '::ffff:10.1.2.3', true],
  [['10.0.0.0/8'], '11.1.2.3', false],
  [['2001:db8::/32'], '2001:db8:1::1', true],
  [['203.0.113.7'], '203.0.113.7', true],
  [['loopback'], '127.0.0.9', true],
  [['uniquelocal'], '192.168.1.1', true],
  [true, '10.1.2.3', false],
  [false, '10.1.2.3', false],
])('trust in %o names %s as a proxy: %s', (trust, address, isProxy) => {
  expect(trustedProxies(trust)(address)).toBe(isProxy)
})

/** Opens a connection that is cut when the test ends. */
async function open(port: number): Promise<RawConnection> {
  const connection = await openRaw(port)
  onTestFinished(() => connection.cut())
  return connection
}
