import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { unavailable } from '../../support/memory-store.ts'
import { protocolStores } from '../../support/open-test-store.ts'
import { headOf, openRaw } from '../../support/raw-http.ts'
import { appendHeaders, asAda, interop, lastIn, type Served, type Serving, serve as serveOn } from './serve.ts'

/** Starts a creation of 60 bytes and sends `bytes` of it. `path` is the Location in its 104. */
async function startCreation(server: Served, version: number, bytes: Buffer) {
  const connection = await openRaw(server.port)
  await connection.send(
    headOf({
      method: 'POST',
      path: '/files',
      headers: { ...asAda, ...interop(version), ...lastIn(version, true), 'content-length': 60 },
    }),
  )
  const [, path = ''] = /location: (\S+)/i.exec(await connection.until(/ 104 [\s\S]*\r\n\r\n/)) ?? []
  await connection.send(bytes)
  await server.arrived(bytes.length)
  return { connection, path }
}

function breakStore(server: Served) {
  server.store.fault = () => {
    throw unavailable()
  }
}

describe.each(protocolStores)('RUFH over bad connections, with files in %s', (kind) => {
  const serve = (serving: Serving = {}) => serveOn({ kind, ...serving })

  describe('a request whose upload another request takes over', () => {
    it.each([3, 5, 6, 8, 10])('ends without an answer in version %i', async (version) => {
      const server = await serve()
      const { connection, path } = await startCreation(server, version, randomBytes(37))

      const head = await server.ask({ method: 'HEAD', path, headers: interop(version) })

      expect(head.headers['upload-offset']).toBe('37')
      expect(await connection.answer()).toBeNull()
    })

    it('ends when the other request is an append', async () => {
      const server = await serve()
      const body = randomBytes(60)
      const { connection, path } = await startCreation(server, 8, body.subarray(0, 30))
      await server.ask({ method: 'HEAD', path, headers: interop(8) })
      await connection.closed()
      const second = await openRaw(server.port)
      await second.send(
        headOf({ method: 'PATCH', path, headers: { ...asAda, ...appendHeaders(8, 30, true), 'content-length': 30 } }),
      )
      await second.send(body.subarray(30, 45))
      await server.arrived(15)

      // This client knows of 30 bytes only. It appends again at the offset in the 409.
      const stale = await server.ask({
        method: 'PATCH',
        path,
        headers: appendHeaders(8, 30, true),
        body: body.subarray(30),
      })
      const offset = Number(stale.headers['upload-offset'])
      const last = await server.ask({
        method: 'PATCH',
        path,
        headers: appendHeaders(8, offset, true),
        body: body.subarray(offset),
      })

      expect([stale.status, offset]).toEqual([409, 45])
      expect(last.status).toBe(201)
      expect(await second.answer()).toBeNull()
      expect(await server.objectOf(path)).toEqual(body)
    })

    it('ends when the other request is a cancellation', async () => {
      const server = await serve()
      const { connection, path } = await startCreation(server, 8, randomBytes(37))

      const answer = await server.ask({ method: 'DELETE', path, headers: interop(8) })

      expect(answer.status).toBe(204)
      expect(await connection.answer()).toBeNull()
      expect(await server.keys()).toEqual([])
    })
  })

  it('concurrent appends to one upload never mix their bytes', async () => {
    const server = await serve()
    const body = randomBytes(60)
    const { headers } = await server.ask({
      method: 'POST',
      path: '/files',
      headers: { ...interop(8), 'upload-complete': '?0' },
    })
    const path = headers['location']!
    const append = () => server.tryAsk({ method: 'PATCH', path, headers: appendHeaders(8, 0, true), body })

    const answers = await Promise.all([append(), append(), append(), append()])

    const completed = answers.filter((answer) => answer?.headers['upload-complete'] === '?1')
    expect(completed).toHaveLength(1)
    expect(await server.objectOf(path)).toEqual(body)
  })

  describe('a temporary error', () => {
    it.each([3, 5, 6])('closes the connection of a client of version %i that can resume', async (version) => {
      const server = await serve()
      const { headers } = await server.ask({
        method: 'POST',
        path: '/files',
        headers: { ...interop(version), ...lastIn(version, false) },
        body: randomBytes(5),
      })
      const path = headers['location']!
      breakStore(server)

      const created = await server.tryAsk({
        method: 'POST',
        path: '/files',
        headers: { ...interop(version), ...lastIn(version, true) },
        body: randomBytes(35),
      })
      const appended = await server.tryAsk({
        method: 'PATCH',
        path,
        headers: appendHeaders(version, 5, true),
        body: randomBytes(35),
      })

      expect(created).toBeNull()
      expect(appended).toBeNull()
    })

    it.each([4, 7, 8, 10])('is answered to a client of version %i', async (version) => {
      const server = await serve()
      breakStore(server)

      const answer = await server.ask({
        method: 'POST',
        path: '/files',
        headers: { ...interop(version), ...lastIn(version, true) },
        body: randomBytes(35),
      })

      expect(answer.status).toBe(503)
      expect(answer.headers).toMatchObject({ ...lastIn(version, false), 'retry-after': '5' })
      expect(answer.headers['location']).toBe(answer.interims[0]?.headers['location'])
      expect(answer.json()).toMatchObject({ status: 503, error: { code: 'STORE_UNAVAILABLE' } })
    })

    it('is answered to a client that got no 104 and cannot resume', async () => {
      const server = await serve()
      breakStore(server)

      const answer = await server.ask({
        method: 'POST',
        path: '/files',
        version: '1.0',
        headers: { ...interop(6), 'upload-complete': '?1' },
        body: randomBytes(35),
      })

      expect(answer.status).toBe(503)
    })

    it('is answered when no upload was created', async () => {
      const server = await serve()
      server.engine.drain()

      const answer = await server.ask({
        method: 'POST',
        path: '/files',
        headers: { ...interop(6), 'upload-complete': '?1' },
        body: randomBytes(35),
      })

      expect(answer.status).toBe(503)
      expect(answer.json()).toMatchObject({ error: { code: 'SHUTTING_DOWN' } })
    })

    it('is 423 while another request holds the lock of the upload', async () => {
      const server = await serve({ waitMs: 200 })
      let releaseStore = () => {}
      server.store.fault = (call) =>
        call === 'uploadPart' || call === 'put'
          ? new Promise<void>((resolve) => {
              releaseStore = resolve
            })
          : undefined
      const { connection, path } = await startCreation(server, 6, randomBytes(15))

      const inVersion8 = await server.ask({ method: 'HEAD', path, headers: interop(8) })
      const inVersion4 = await server.ask({ method: 'HEAD', path, headers: interop(4) })
      const inVersion6 = await server.tryAsk({ method: 'HEAD', path, headers: interop(6) })
      server.store.fault = () => {}
      releaseStore()
      await connection.closed()

      expect(inVersion8.status).toBe(423)
      expect(inVersion4.status).toBe(423)
      expect(inVersion8.headers['retry-after']).toBe('1')
      expect(inVersion6).toBeNull()
      expect((await server.ask({ method: 'HEAD', path, headers: interop(6) })).headers['upload-offset']).toBe('15')
    })

    it('never says that an upload is complete', async () => {
      const server = await serve()
      const file = randomBytes(1.5 * server.part)
      server.store.fault = (call, at) => {
        if (call === 'completeMultipart' && at === 'before') throw unavailable()
      }
      const created = await server.ask({
        method: 'POST',
        path: '/files',
        headers: { ...interop(8), 'upload-complete': '?1' },
        body: file,
      })
      const path = created.headers['location']!
      const head = await server.ask({ method: 'HEAD', path, headers: interop(8) })
      const inVersion6 = await server.tryAsk({ method: 'HEAD', path, headers: interop(6) })
      server.store.fault = () => {}
      const later = await server.ask({ method: 'HEAD', path, headers: interop(8) })

      expect([created.status, head.status]).toEqual([503, 503])
      expect(head.headers).toMatchObject({ 'upload-complete': '?0', 'retry-after': '5' })
      // tus-js-client would create a new upload after a 5xx.
      expect(inVersion6).toBeNull()
      expect(later.headers['upload-complete']).toBe('?1')
    })
  })

  it('a body that stalls is answered with 503, and its bytes are kept', async () => {
    const server = await serve({ bodyIdleMs: 1000 })
    const { connection, path } = await startCreation(server, 8, randomBytes(37))

    const answer = await connection.answer()
    const head = await server.ask({ method: 'HEAD', path, headers: interop(8) })

    expect(answer?.status).toBe(503)
    expect(answer?.headers).toMatchObject({ 'upload-offset': '37', 'upload-complete': '?0', connection: 'close' })
    expect(head.headers['upload-offset']).toBe('37')
  })

  it('an error before the body was read closes the connection', async () => {
    const server = await serve()

    const answer = await server.ask({
      method: 'PATCH',
      path: '/files/00000000-0000-4000-8000-000000000000',
      headers: { ...appendHeaders(8, 0, true), connection: 'keep-alive' },
      body: Buffer.alloc(300_000),
    })

    expect(answer.status).toBe(404)
    expect(answer.headers['connection']).toBe('close')
  })
})
