import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { protocolStores } from '../../support/open-test-store.ts'
import { headOf, openRaw } from '../../support/raw-http.ts'
import { appendHeaders, asAda, interop, lastIn, type Serving, serve as serveOn } from './serve.ts'

describe.each(protocolStores)('RUFH, interim responses, with files in %s', (kind) => {
  const serve = (serving: Serving = {}) => serveOn({ kind, ...serving })

  describe('104', () => {
    it('is sent before the first byte of the body arrives', async () => {
      const server = await serve()
      const connection = await openRaw(server.port)

      await connection.send(
        headOf({
          method: 'POST',
          path: '/files',
          headers: { ...asAda, ...interop(6), 'upload-complete': '?1', 'content-length': 100 },
        }),
      )
      const interim = await connection.until(/^HTTP\/1\.1 104 [^\r]*\r\n[\s\S]*\r\n\r\n/)
      connection.cut()

      expect(interim).toMatch(/\r\nlocation: \/files\/[0-9a-f-]+\r\n/i)
      expect(interim).toMatch(/\r\nupload-draft-interop-version: 6\r\n/i)
      expect(interim).not.toMatch(/upload-offset/i)
    })

    it.each([
      [6, /max-size=\d+, min-size=0, expires=\d+/],
      [8, /max-size=\d+, min-size=0, max-age=\d+/],
      [10, /max-size=\d+, min-size=0, max-age=\d+/],
    ])('of version %i has Upload-Limit', async (version, limits) => {
      const server = await serve()

      const answer = await server.ask({
        method: 'POST',
        path: '/files',
        headers: { ...interop(version), ...lastIn(version, false) },
      })

      expect(answer.interims[0]?.headers['upload-limit']).toMatch(limits)
      expect(answer.headers['upload-limit']).toMatch(limits)
    })

    it.each(['x-forwarded-for', 'forwarded', 'via', 'x-real-ip'])(
      'is not sent through a proxy that adds %s, except with the setting always',
      async (name) => {
        const request = {
          method: 'POST',
          path: '/files',
          headers: { ...interop(6), 'upload-complete': '?1', [name]: '203.0.113.7' },
          body: 'x',
        }

        const answers = await Promise.all(
          (['auto', 'always', 'never'] as const).map(async (interimResponses) =>
            (await serve({ rufh: { interimResponses } })).ask(request),
          ),
        )

        expect(answers.map(({ status, interims }) => [status, interims.length])).toEqual([
          [201, 0],
          [201, 1],
          [201, 0],
        ])
      },
    )

    it.each([
      ['the client named no version', {}],
      ['the client named an unknown version', { 'upload-draft-interop-version': '2' }],
    ])('is not sent when %s', async (_, headers) => {
      const server = await serve()

      const answer = await server.ask({
        method: 'POST',
        path: '/files',
        headers: { ...headers, 'upload-complete': '?1' },
        body: 'x',
      })

      expect(answer.status).toBe(201)
      expect(answer.interims).toEqual([])
    })

    it('is not sent to a client of HTTP/1.0, nor is any other interim response', async () => {
      const server = await serve()

      const answer = await server.ask({
        method: 'POST',
        path: '/files',
        version: '1.0',
        headers: { ...interop(6), 'upload-complete': '?1' },
        body: 'x',
      })

      expect(answer.status).toBe(201)
      expect(answer.interims).toEqual([])
    })

    it('does not replace 100 (Continue)', async () => {
      const server = await serve()
      const connection = await openRaw(server.port)
      await connection.send(
        headOf({
          method: 'POST',
          path: '/files',
          headers: { ...asAda, ...interop(6), 'upload-complete': '?1', 'content-length': 4, expect: '100-continue' },
        }),
      )

      await connection.until(/ 100 Continue\r\n/)
      await connection.until(/ 104 /)
      await connection.send('body')
      const answer = await connection.answer()

      expect(answer?.status).toBe(201)
      expect(answer?.interims.map(({ status }) => status)).toEqual([100, 104])
    })

    it('is not sent when no upload was created', async () => {
      const server = await serve()

      const answer = await server.ask({
        method: 'POST',
        path: '/files',
        headers: {
          ...interop(6),
          authorization: 'Bearer sue:subscriber',
          'upload-complete': '?1',
          'content-type': 'video/mp4',
        },
        body: 'x',
      })

      expect(answer.status).toBe(415)
      expect(answer.interims).toEqual([])
    })
  })

  describe('progress', () => {
    it.each([5, 6, 8, 10])('of version %i is sent while the body arrives, without Location', async (version) => {
      const server = await serve({ rufh: { progressEveryMs: 0 } })
      const { headers } = await server.ask({
        method: 'POST',
        path: '/files',
        headers: { ...interop(version), ...lastIn(version, false) },
      })
      const connection = await openRaw(server.port)

      await connection.send(
        headOf({
          method: 'PATCH',
          path: headers['location']!,
          headers: { ...asAda, ...appendHeaders(version, 0, true), 'content-length': 2 * server.part + 5 },
        }),
      )
      await connection.send(randomBytes(2 * server.part))
      await connection.until(
        new RegExp(` 104 [\\s\\S]*upload-offset: (?:${server.part}|${2 * server.part})\\r\\n`, 'i'),
      )
      await connection.send(randomBytes(5))
      const answer = await connection.answer()

      expect(answer?.status).toBe(201)
      expect(answer?.interims.length).toBeGreaterThan(0)
      let last = 0
      for (const { headers } of answer!.interims) {
        expect(headers).not.toHaveProperty('location')
        expect(headers['upload-draft-interop-version']).toBe(String(version))
        expect(Number(headers['upload-offset'])).toBeGreaterThanOrEqual(last)
        last = Number(headers['upload-offset'])
      }
    })

    it.each([3, 4])('is not sent in version %i', async (version) => {
      const server = await serve({ rufh: { progressEveryMs: 0 } })

      const answer = await server.ask({
        method: 'POST',
        path: '/files',
        headers: { ...interop(version), ...lastIn(version, true) },
        body: randomBytes(95),
      })

      expect(answer.interims).toHaveLength(1)
    })

    it('is sent at most once in progressEveryMs', async () => {
      const server = await serve({ rufh: { progressEveryMs: 60_000 } })

      const answer = await server.ask({
        method: 'POST',
        path: '/files',
        headers: { ...interop(10), 'upload-complete': '?1' },
        body: randomBytes(95),
      })

      expect(answer.interims).toHaveLength(1)
    })

    it('is not sent to a client that named no version', async () => {
      const server = await serve({ rufh: { progressEveryMs: 0 } })
      const { headers } = await server.ask({ method: 'POST', path: '/files', headers: { 'upload-complete': '?0' } })

      const answer = await server.ask({
        method: 'PATCH',
        path: headers['location']!,
        headers: { 'upload-complete': '?1', 'upload-offset': 0, 'content-type': 'application/partial-upload' },
        body: randomBytes(95),
      })

      expect(answer.headers['upload-complete']).toBe('?1')
      expect(answer.interims).toEqual([])
    })
  })
})
