import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { protocolStores } from '../../support/open-test-store.ts'
import { headOf, openRaw } from '../../support/raw-http.ts'
import { asAda, interop, lastIn, type Serving, serve as serveOn } from './serve.ts'

const versions = [3, 4, 5, 6, 7, 8, 9, 10]

describe.each(protocolStores)('RUFH, creations, with files in %s', (kind) => {
  const serve = (serving: Serving = {}) => serveOn({ kind, ...serving })

  describe.each(versions)('a creation of interop version %i', (version) => {
    it('with the whole file completes the upload', async () => {
      const server = await serve()
      const body = randomBytes(47)

      const answer = await server.ask({
        method: 'POST',
        path: '/files',
        headers: { ...interop(version), ...lastIn(version, true) },
        body,
      })

      expect(answer.status).toBe(201)
      expect(answer.headers).toMatchObject({ ...lastIn(version, true), 'upload-offset': '47' })
      expect(await server.objectOf(answer.headers['location']!)).toEqual(body)
    })

    it('with the first bytes leaves the upload incomplete', async () => {
      const server = await serve()

      const answer = await server.ask({
        method: 'POST',
        path: '/files',
        headers: { ...interop(version), ...lastIn(version, false) },
        body: randomBytes(23),
      })

      expect(answer.status).toBe(201)
      expect(answer.headers).toMatchObject({ ...lastIn(version, false), 'upload-offset': '23' })
      expect(await server.uploadAt(answer.headers['location']!)).toMatchObject({ state: 'receiving', offset: 23 })
    })

    it('without a body creates an upload and answers its limits', async () => {
      const server = await serve()

      const answer = await server.ask({
        method: 'POST',
        path: '/files',
        headers: { ...interop(version), ...lastIn(version, false), 'upload-length': 47 },
      })

      expect(answer.status).toBe(201)
      expect(answer.headers).toMatchObject({ ...lastIn(version, false), 'upload-offset': '0' })
      expect('upload-limit' in answer.headers).toBe(version >= 6)
      expect(await server.uploadAt(answer.headers['location']!)).toMatchObject({ state: 'receiving', size: 47 })
    })

    it('may have a chunked body', async () => {
      const server = await serve()

      const answer = await server.ask({
        method: 'POST',
        path: '/files',
        headers: { ...interop(version), ...lastIn(version, true), 'transfer-encoding': 'chunked' },
        body: '5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n',
      })

      expect(answer.headers).toMatchObject({ ...lastIn(version, true), 'upload-offset': '11' })
      expect((await server.objectOf(answer.headers['location']!))?.toString()).toBe('hello world')
    })

    it('that breaks off keeps its bytes and the length of the file', async () => {
      const server = await serve()
      const connection = await openRaw(server.port)
      const headers = { ...asAda, ...interop(version), ...lastIn(version, true), 'content-length': 60 }
      await connection.send(headOf({ method: 'POST', path: '/files', headers }))
      const [, path] = /location: (\S+)/i.exec(await connection.until(/ 104 [\s\S]*\r\n\r\n/)) ?? []
      await connection.send(randomBytes(37))
      await server.arrived(37)
      connection.cut()

      const head = await server.ask({ method: 'HEAD', path: path!, headers: interop(version) })

      expect(head.headers).toMatchObject({
        ...lastIn(version, false),
        'upload-offset': '37',
        'upload-length': '60',
      })
    })

    it('sends the same Location in its 104 and in its final answer', async () => {
      const server = await serve()

      const answer = await server.ask({
        method: 'POST',
        path: '/files',
        headers: { ...interop(version), ...lastIn(version, true) },
        body: randomBytes(23),
      })

      const [first] = answer.interims
      expect(first).toMatchObject({ status: 104, headers: { 'upload-draft-interop-version': String(version) } })
      expect(first?.headers['location']).toMatch(/^\/files\/[0-9a-f-]{36}$/)
      expect(answer.headers['location']).toBe(first?.headers['location'])
    })
  })
})
