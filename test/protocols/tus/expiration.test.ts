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

  it('sends Upload-Expires, an HTTP date, in every answer about an expiring upload', async () => {
    const { settings, pass } = clock(10 * minute)
    const server = await serve(settings)
    const headers = { ...chunk, 'upload-length': 11 }

    const created = await server.ask({ method: 'POST', path: '/files', headers, body: 'he' })
    const path = created.headers['location']!
    pass(minute)
    const patched = await server.patch(path, 2, 'llo')
    pass(minute)
    const head = await server.head(path)

    const expiries = [created, patched, head].map((answer) => answer.headers['upload-expires'])
    expect(expiries[0]).toMatch(httpDate)
    expect(expiries).toEqual([
      'Sun, 01 Mar 2026 12:10:00 GMT',
      // Ten minutes after the PATCH, plus one percent, so that not every PATCH has to write a new date.
      'Sun, 01 Mar 2026 12:11:06 GMT',
      'Sun, 01 Mar 2026 12:11:06 GMT',
    ])
  })

  it('sends Upload-Expires with rejected PATCHes, and to the owner only', async () => {
    const { settings } = clock(10 * minute)
    const server = await serve(settings)
    const path = await server.create(11)
    const override = { method: 'POST', path, headers: { 'x-http-method-override': 'PATCH' }, body: 'hello' }

    const rejected = [
      await server.patch(path, 5, 'hello'),
      await server.patch(path, 'five', 'hello'),
      await server.patch(path, 0, 'hello', { 'content-type': 'text/plain' }),
      await server.patch(path, 0, 'hello', { 'upload-checksum': 'md5 AAAA' }),
      await server.patch(path, 0, 'hello', { 'upload-length': 12 }),
      await server.ask(override),
    ]
    const foreign = await server.patch(path, 5, 'hello', { authorization: 'Bearer eve:creator' })

    expect(rejected.map(({ status }) => status)).toEqual([409, 400, 415, 460, 400, 415])
    for (const { headers } of rejected) expect(headers['upload-expires']).toBe('Sun, 01 Mar 2026 12:10:00 GMT')
    expect([foreign.status, foreign.headers['upload-expires']]).toEqual([404, undefined])
  })

  it('postpones the expiry with every PATCH', async () => {
    const { settings, pass } = clock(10 * minute)
    const server = await serve(settings)
    const path = await server.create(11)
    pass(9 * minute)
    await server.patch(path, 0, 'hello')
    pass(9 * minute)

    expect((await server.head(path)).status).toBe(200)
  })

  it.each(['HEAD', 'PATCH', 'DELETE'])('answers a %s after the expiry with 410', async (method) => {
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

  it('deletes the stored bytes, and the upload stays expired', async () => {
    const { settings, pass } = clock(10 * minute)
    const server = await serve(settings)
    const path = await server.create(100)
    await server.patch(path, 0, randomBytes(37))
    pass(11 * minute)

    const wasExpired = await server.engine.expire(path.split('/').at(-1)!)

    expect([wasExpired, await server.keys(), await server.openMultiparts()]).toEqual([true, [], 0])
    expect((await server.head(path)).status).toBe(410)
  })

  it('does not expire complete files', async () => {
    const { settings, pass } = clock(10 * minute)
    const server = await serve(settings)
    const path = await server.create(5)
    const last = await server.patch(path, 0, 'hello')
    pass(11 * minute)

    const head = await server.head(path)

    expect(head.status).toBe(200)
    expect([last.headers, head.headers].some((headers) => 'upload-expires' in headers)).toBe(false)
  })

  it('sends no Upload-Expires where uploads do not expire', async () => {
    const { settings } = clock(0)
    const server = await serve(settings)
    const path = await server.create(5)

    expect((await server.head(path)).headers).not.toHaveProperty('upload-expires')
  })
})
