import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { userOf } from '../../../src/core/upload.ts'
import { protocolStores } from '../../support/open-test-store.ts'
import { headOf, openRaw } from '../../support/raw-http.ts'
import { appendHeaders, asAda, interop, lastIn, type Served, type Serving, serve as serveOn } from './serve.ts'

/** Creates an upload whose first bytes are `body`. @returns its path */
async function create(server: Served, version: number, body: Buffer, headers: Record<string, string | number> = {}) {
  const answer = await server.ask({
    method: 'POST',
    path: '/files',
    headers: { ...interop(version), ...lastIn(version, false), ...headers },
    body,
  })
  return answer.headers['location']!
}

describe.each(protocolStores)('RUFH, offset retrieval, with files in %s', (kind) => {
  const serve = (serving: Serving = {}) => serveOn({ kind, ...serving })

  describe.each([3, 4, 5, 6, 7, 8, 9, 10])('offset retrieval in version %i', (version) => {
    it('answers the offset of an incomplete upload, and is not cached', async () => {
      const server = await serve()
      const path = await create(server, version, randomBytes(23))

      const answer = await server.ask({ method: 'HEAD', path, headers: interop(version) })

      expect(answer.status).toBe(204)
      expect(answer.headers).toMatchObject({
        ...lastIn(version, false),
        'upload-offset': '23',
        'cache-control': 'no-store',
      })
    })

    it('answers that an upload is complete', async () => {
      const server = await serve()
      const { headers } = await server.ask({
        method: 'POST',
        path: '/files',
        headers: { ...interop(version), ...lastIn(version, true) },
        body: randomBytes(23),
      })

      const answer = await server.ask({ method: 'HEAD', path: headers['location']!, headers: interop(version) })

      expect(answer.headers).toMatchObject({ ...lastIn(version, true), 'upload-offset': '23', 'upload-length': '23' })
    })

    it('answers an offset that the next append may use', async () => {
      const server = await serve()
      const body = randomBytes(60)
      const path = await create(server, version, body.subarray(0, 37))

      const { headers } = await server.ask({ method: 'HEAD', path, headers: interop(version) })
      const offset = Number(headers['upload-offset'])
      const answer = await server.ask({
        method: 'PATCH',
        path,
        headers: appendHeaders(version, offset, true),
        body: body.subarray(offset),
      })

      expect(answer.status).toBe(201)
      expect(await server.objectOf(path)).toEqual(body)
    })
  })

  describe('the length', () => {
    it.each([6, 7, 8, 9, 10])('is answered in version %i when the client sent one', async (version) => {
      const server = await serve()
      const path = await create(server, version, randomBytes(5), { 'upload-length': 60 })

      const { headers } = await server.ask({ method: 'HEAD', path, headers: interop(version) })

      expect(headers['upload-length']).toBe('60')
    })

    it('is not answered when the client sent none', async () => {
      const server = await serve()
      const path = await create(server, 8, randomBytes(5))

      const { headers } = await server.ask({ method: 'HEAD', path, headers: interop(8) })

      expect(headers).not.toHaveProperty('upload-length')
    })

    it.each([5, 6])('completes an upload that has all its bytes in version %i', async (version) => {
      const server = await serve()
      const body = randomBytes(60)
      // A client of version 8 has sent every byte without completing the upload.
      const path = await create(server, 8, body, { 'upload-length': 60 })
      const inVersion8 = await server.ask({ method: 'HEAD', path, headers: interop(8) })

      const head = await server.ask({ method: 'HEAD', path, headers: interop(version) })

      const whole = { 'upload-offset': '60', 'upload-length': '60' }
      expect(inVersion8.headers).toMatchObject({ ...whole, 'upload-complete': '?0' })
      expect(head.headers).toMatchObject({ ...whole, 'upload-complete': '?1' })
      expect(await server.objectOf(path)).toEqual(body)
    })
  })

  it.each([6, 7, 8, 9, 10])('Upload-Limit is answered in version %i', async (version) => {
    const server = await serve()
    const path = await create(server, version, randomBytes(5))

    const { headers } = await server.ask({ method: 'HEAD', path, headers: interop(version) })

    expect(headers['upload-limit']).toMatch(
      new RegExp(`^max-size=\\d+, min-size=0, ${version === 6 ? 'expires' : 'max-age'}=\\d+$`),
    )
  })

  describe('GET', () => {
    it.each([9, 10])('retrieves the offset in version %i', async (version) => {
      const server = await serve()
      const path = await create(server, version, randomBytes(5))

      const answer = await server.ask({ method: 'GET', path, headers: interop(version) })

      expect(answer.status).toBe(204)
      expect(answer.headers).toMatchObject({ 'upload-offset': '5', 'upload-complete': '?0' })
    })
  })

  describe('a HEAD or DELETE with Upload-* headers', () => {
    it.each([
      [3, 'HEAD', 'upload-incomplete', '?0'],
      [3, 'HEAD', 'upload-offset', '5'],
      [4, 'HEAD', 'upload-complete', '?0'],
      [5, 'HEAD', 'upload-offset', '5'],
      [6, 'HEAD', 'upload-length', '5'],
      [6, 'DELETE', 'upload-offset', '5'],
      [3, 'DELETE', 'upload-incomplete', '?1'],
    ])('is refused in version %i: %s with %s', async (version, method, name, value) => {
      const server = await serve()
      const path = await create(server, version, randomBytes(5))

      const answer = await server.ask({ method, path, headers: { ...interop(version), [name]: value } })

      expect(answer.status).toBe(400)
      expect(answer.headers['upload-offset']).toBe('5')
    })

    it.each([7, 8, 10])('is answered in version %i', async (version) => {
      const server = await serve()
      const path = await create(server, version, randomBytes(5))

      const answer = await server.ask({
        method: 'HEAD',
        path,
        headers: { ...interop(version), 'upload-offset': 3, 'upload-complete': '?0', 'upload-length': 9 },
      })

      expect(answer.status).toBe(204)
      expect(answer.headers['upload-offset']).toBe('5')
    })
  })

  describe('an upload that does not exist', () => {
    it('is 404', async () => {
      const server = await serve()

      for (const id of ['nonsense', '00000000-0000-4000-8000-000000000000']) {
        const answer = await server.ask({ method: 'HEAD', path: `/files/${id}`, headers: interop(6) })
        expect(answer.status).toBe(404)
        expect(answer.headers).not.toHaveProperty('upload-offset')
      }
    })

    it.each([6, 10])('is not cached as a 404 in version %i: it may belong to another user', async (version) => {
      const server = await serve()
      const path = await create(server, version, randomBytes(5))
      const asEve = { authorization: 'Bearer eve:creator', ...interop(version) }

      const answer = await server.ask({ method: 'HEAD', path, headers: asEve })

      expect([answer.status, answer.headers['cache-control']]).toEqual([404, 'no-store'])
    })

    it.each([
      [3, 404],
      [6, 404],
      [7, 410],
      [10, 410],
    ])('after its cancellation is, in version %i, %i', async (version, status) => {
      const server = await serve()
      const path = await create(server, version, randomBytes(5))
      const cancelled = await server.ask({ method: 'DELETE', path, headers: interop(version) })

      const answers = [
        await server.ask({ method: 'HEAD', path, headers: interop(version) }),
        await server.ask({ method: 'DELETE', path, headers: interop(version) }),
        await server.ask({ method: 'PATCH', path, headers: appendHeaders(version, 5, true), body: 'more' }),
      ]

      expect(cancelled.status).toBe(204)
      expect(answers.map((answer) => answer.status)).toEqual([status, status, status])
      expect(await server.keys()).toEqual([])
    })
  })

  it.each([
    [6, 404],
    [8, 410],
    [10, 410],
  ])('an upload whose parts the store has lost is, in version %i, %i', async (version, status) => {
    const server = await serve()
    const path = await create(server, version, randomBytes(server.part), { 'upload-length': 2.5 * server.part })
    const next = { ...appendHeaders(version, server.part, false) }
    await server.ask({ method: 'PATCH', path, headers: next, body: randomBytes(server.part) })
    const { key } = await server.engine.get(userOf('ada', 'creator'), path.split('/').at(-1)!)
    await server.store.abortMultipart(key, null)

    const last = { ...appendHeaders(version, 2 * server.part, true) }
    const append = { method: 'PATCH', path, headers: last, body: randomBytes(server.part / 2) }
    // The server confirms a loss before it ends an upload, and answers 503 to the first append. A client of version 6 would fail for good
    // after a 503, so its connection is closed instead.
    const first = await server.tryAsk(append)
    const between = await server.ask({ method: 'HEAD', path, headers: interop(version) })
    const answer = await server.ask(append)
    const head = await server.ask({ method: 'HEAD', path, headers: interop(version) })

    expect(first?.status).toBe(version === 6 ? undefined : 503)
    expect([between.status, between.headers['upload-offset']]).toEqual([204, String(2 * server.part)])
    expect([answer.status, head.status]).toEqual([status, status])
    expect(answer.json()).toMatchObject({ error: { code: 'UPLOAD_LOST' } })
    expect(head.headers).not.toHaveProperty('upload-offset')
  })

  it.each(['', '/', '//', '/.', '?a=b'])('an offset retrieval is never answered with a redirect: %s', async (more) => {
    const server = await serve()
    const path = await create(server, 10, randomBytes(5))

    for (const prefix of ['', '/', '/.']) {
      const answer = await server.ask({ method: 'HEAD', path: `${prefix}${path}${more}`, headers: interop(10) })
      expect(Math.floor(answer.status / 100)).not.toBe(3)
    }
  })

  describe('a request that hangs', () => {
    it('is ended by an offset retrieval, which counts its bytes', async () => {
      const server = await serve({ bodyIdleMs: 0 })
      const hanging = await openRaw(server.port)
      await hanging.send(
        headOf({
          method: 'POST',
          path: '/files',
          headers: { ...asAda, ...interop(8), 'upload-complete': '?1', 'content-length': 60 },
        }),
      )
      const [, path] = /location: (\S+)/i.exec(await hanging.until(/location: \S+\r\n[\s\S]*\r\n\r\n/i)) ?? []
      await hanging.send(randomBytes(37))
      await server.arrived(37)

      const answer = await server.ask({ method: 'HEAD', path: path!, headers: interop(8) })

      expect(answer.headers).toMatchObject({ 'upload-offset': '37', 'upload-complete': '?0' })
      expect(await hanging.answer()).toBeNull()
    })
  })
})
