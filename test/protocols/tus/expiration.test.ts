import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { defaultPolicies } from '../../../src/core/policy/policy.ts'
import { protocolStores } from '../../support/open-test-store.ts'
import { chunk, codeOf, type Serving, serve as serveOn } from './serve.ts'

const minute = 60_000
const httpDate = /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$/

function clock(timeToLiveMs: number) {
  let now = Date.parse('2026-03-01T12:00:00Z')
  return {
    pass: (ms: number) => (now += ms),
    settings: {
      now: () => new Date(now),
      policies: () => ({ ...defaultPolicies, users: { ada: { timeToLiveMs } } }),
    },
  }
}

describe.each(protocolStores)('tus, Expiration, with files in %s', (kind) => {
  const serve = (serving: Serving) => serveOn({ kind, ...serving })

  it('is announced with every answer about an upload that will expire, as a date of HTTP', async () => {
    const { settings, pass } = clock(10 * minute)
    const server = await serve(settings)
    const headers = { ...chunk, 'upload-length': 11 }

    const created = await server.ask({ method: 'POST', path: '/files', headers, body: 'he' })
    const path = created.headers['location']!
    pass(minute)
    const patched = await server.patch(path, 2, 'llo')
    pass(minute)
    const seen = await server.head(path)

    const expiries = [created, patched, seen].map((answer) => answer.headers['upload-expires'])
    expect(expiries[0]).toMatch(httpDate)
    expect(expiries).toEqual([
      'Sun, 01 Mar 2026 12:10:00 GMT',
      // Ten minutes from then, and a hundredth more, so that not every PATCH needs to move it.
      'Sun, 01 Mar 2026 12:11:06 GMT',
      'Sun, 01 Mar 2026 12:11:06 GMT',
    ])
  })

  it('is announced with refused PATCHes as well, and only to who may know', async () => {
    const { settings } = clock(10 * minute)
    const server = await serve(settings)
    const path = await server.create(11)
    const tunnel = { method: 'POST', path, headers: { 'x-http-method-override': 'PATCH' }, body: 'hello' }

    const refused = [
      await server.patch(path, 5, 'hello'),
      await server.patch(path, 'five', 'hello'),
      await server.patch(path, 0, 'hello', { 'content-type': 'text/plain' }),
      await server.patch(path, 0, 'hello', { 'upload-checksum': 'md5 AAAA' }),
      await server.patch(path, 0, 'hello', { 'upload-length': 12 }),
      await server.ask(tunnel),
    ]
    const foreign = await server.patch(path, 5, 'hello', { authorization: 'Bearer eve:creator' })

    expect(refused.map(({ status }) => status)).toEqual([409, 400, 415, 460, 400, 415])
    for (const { headers } of refused) expect(headers['upload-expires']).toBe('Sun, 01 Mar 2026 12:10:00 GMT')
    expect([foreign.status, foreign.headers['upload-expires']]).toEqual([404, undefined])
  })

  it('moves on with every PATCH', async () => {
    const { settings, pass } = clock(10 * minute)
    const server = await serve(settings)
    const path = await server.create(11)
    pass(9 * minute)
    await server.patch(path, 0, 'hello')
    pass(9 * minute)

    expect((await server.head(path)).status).toBe(200)
  })

  it.each(['HEAD', 'PATCH', 'DELETE'])('makes a %s that comes too late 410', async (method) => {
    const { settings, pass } = clock(10 * minute)
    const server = await serve(settings)
    const path = await server.create(11)
    pass(11 * minute)

    const answer = await server.ask({ method, path, headers: { ...chunk, 'upload-offset': 0 }, body: '' })

    expect(answer.status).toBe(410)
    expect(answer.headers).not.toHaveProperty('upload-offset')
    expect(answer.headers).not.toHaveProperty('upload-expires')
    if (method !== 'HEAD') expect(codeOf(answer)).toBe('UPLOAD_EXPIRED')
  })

  it('takes away what was kept, and the upload stays gone', async () => {
    const { settings, pass } = clock(10 * minute)
    const server = await serve(settings)
    const path = await server.create(100)
    await server.patch(path, 0, randomBytes(37))
    pass(11 * minute)

    const wasExpired = await server.engine.expire(path.split('/').at(-1)!)

    expect([wasExpired, await server.keys(), await server.openMultiparts()]).toEqual([true, [], 0])
    expect((await server.head(path)).status).toBe(410)
  })

  it('is not for files that have arrived', async () => {
    const { settings, pass } = clock(10 * minute)
    const server = await serve(settings)
    const path = await server.create(5)
    const last = await server.patch(path, 0, 'hello')
    pass(11 * minute)

    const seen = await server.head(path)

    expect(seen.status).toBe(200)
    expect([last.headers, seen.headers].some((headers) => 'upload-expires' in headers)).toBe(false)
  })

  it('is not announced where nothing expires', async () => {
    const { settings } = clock(0)
    const server = await serve(settings)
    const path = await server.create(5)

    expect((await server.head(path)).headers).not.toHaveProperty('upload-expires')
  })
})
